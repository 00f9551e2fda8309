use super::*;
use crate::event::Action;
use crate::population::Cohort;
use crate::testing::{model_with, pk_model};

fn read(text: &str) -> Dataset {
    Dataset::parse("data.csv", text.as_bytes(), &pk_model())
        .unwrap_or_else(|found| panic!("{}", found.render(false)))
}

fn refused(text: &str) -> Diagnostics {
    let dataset = match Dataset::parse("data.csv", text.as_bytes(), &pk_model()) {
        Ok(dataset) => dataset,
        Err(found) => return found,
    };
    dataset.replay(&pk_model(), None).expect_err("bad data")
}

#[test]
fn bad_data_is_explained_at_its_place() {
    for (text, code, line, column) in [
        ("ID,TIM,AMT\n1,0,1\n", "D006", 1, 1),
        ("ID,TIME (kg)\n1,0\n", "D008", 1, 4),
        ("ID,TIME (foo)\n1,0\n", "D007", 1, 4),
        ("ID,TIME,DATE\n1,0,1\n", "D022", 1, 9),
        ("ID,TIME\n", "D009", 1, 1),
        ("ID,TIME\n1,abc\n", "D010", 2, 3),
        ("ID,TIME\n1,nan\n", "D010", 2, 3),
        ("ID,TIME\n1,1e400\n", "D010", 2, 3),
        ("ID,TIME\n1,.\n", "D011", 2, 3),
        ("ID,TIME\n.,1\n", "D011", 2, 1),
        ("ID,TIME\n1,8:30\n", "D022", 2, 3),
        ("ID,TIME\n1,2024-01-31\n", "D022", 2, 3),
        ("ID,TIME\n1,0\n2,0\n1,5\n", "D020", 4, 1),
        ("ID,TIME\n1,5\n1,4\n", "D021", 3, 3),
        ("ID,TIME\n1,0\n1,1e12\n", "D023", 3, 3),
        ("ID,TIME,EVID\n1,0,7\n", "D030", 2, 5),
        ("ID,TIME,MDV\n1,0,3\n", "D012", 2, 5),
        ("ID,TIME,AMT,EVID,CMT\n1,0,0,1,iv\n", "D031", 2, 5),
        ("ID,TIME,AMT,CMT\n1,0,-5,iv\n", "D031", 2, 5),
        ("ID,TIME,AMT,RATE,CMT\n1,0,5,-3,iv\n", "D032", 2, 7),
        ("ID,TIME,AMT,RATE,CMT\n1,0,5,-1,oral\n", "D037", 2, 7),
        ("ID,TIME,AMT,CMT,ADDL\n1,0,5,iv,3\n", "D033", 2, 10),
        ("ID,TIME,AMT,CMT,ADDL,II\n1,0,5,iv,1e9,24\n", "D033", 2, 10),
        ("ID,TIME,AMT,CMT,ADDL,II\n1,0,5,iv,-1,24\n", "D033", 2, 10),
        ("ID,TIME,AMT,CMT,ADDL,II\n1,0,5,iv,1,-24\n", "D033", 2, 12),
        ("ID,TIME,AMT,CMT,SS,II\n1,0,5,iv,3,24\n", "D034", 2, 10),
        ("ID,TIME,AMT,CMT,SS\n1,0,5,iv,1\n", "D034", 2, 10),
        (
            "ID,TIME,AMT,RATE,CMT,SS,II\n1,0,0,5,iv,1,12\n",
            "D033",
            2,
            14,
        ),
        ("ID,TIME,AMT,CMT\n1,0,5,9\n", "D035", 2, 7),
        ("ID,TIME,AMT,CMT\n1,0,5,-1\n", "D035", 2, 7),
        ("ID,TIME,AMT,CMT\n1,0,5,orla\n", "D035", 2, 7),
        ("ID,TIME,AMT\n1,0,5\n", "D036", 2, 1),
        ("ID,TIME,AMT,EVID\n1,0,5,0\n", "D038", 2, 5),
        ("ID,TIME,DVID\n1,0,cq\n", "D039", 2, 5),
        ("ID,TIME,CL\n1,0,500\n", "D015", 2, 5),
        ("ID,TIME,CL\n1,0,.\n", "D011", 2, 5),
        ("ID,TIME,AMT (mL),CMT\n1,0,5,iv\n", "D008", 2, 5),
        ("ID,TIME,AMT,CMT,LAG\n1,0,5,iv,-1\n", "D040", 2, 1),
        ("ID,TIME,AMT,CMT,F1\n1,0,5,iv,-1\n", "D040", 2, 1),
        ("ID,TIME,AMT,RATE,CMT,D1\n1,0,5,-2,iv,0\n", "D040", 2, 1),
        (
            "ID,TIME,AMT,RATE,CMT,SS,II\n1,0,1e6,1,iv,1,1\n",
            "D042",
            2,
            1,
        ),
        (
            "ID,TIME,AMT,CMT,ADDL,II\n1,0,5,iv,100000,1e-7\n2,0,5,iv,.,.\n",
            "",
            0,
            0,
        ),
    ] {
        if code.is_empty() {
            // unused additional doses are no fault
            assert!(read(text).replay(&pk_model(), None).is_ok());
            continue;
        }
        let found = refused(text);
        let places: Vec<_> = found
            .iter()
            .map(|d| (d.code, d.line(), d.column()))
            .collect();
        assert!(
            places.contains(&(code, Some(line), Some(column))),
            "{text:?} gives {places:?}"
        );
        assert!(
            found.to_string().contains("help"),
            "{code} without help:\n{found}"
        );
    }
}

#[test]
fn many_findings_come_in_one_run_but_not_endlessly() {
    let found = refused("ID,TIME,AMT,CMT\n1,x,-1,iv\n2,0,1,orla\n3,0,1,99\n");
    assert_eq!(
        found.iter().map(|d| d.code).collect::<Vec<_>>(),
        ["D010", "D031", "D035", "D035"]
    );
    assert!(found.to_string().contains("did you mean `oral`?"));
    let rows: String = (0..5000).map(|i| format!("{i},x\n")).collect();
    assert!(refused(&format!("ID,TIME\n{rows}")).len() <= MOST_FINDINGS + 1);
}

#[test]
fn names_in_any_case_comments_and_skipped_rows() {
    let text = "c,Id,time,Amt,cmt,wT,note\n.,a,0,100,IV,80,\"x, y\"\nC,a,0,100,iv,80,skipped\n#a,b\n.,a,1,.,.,.,z\n.,b,0,.,.,60,\n";
    let dataset = read(text);
    assert_eq!(dataset.subjects().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        (dataset.record_count(), dataset.times()),
        (3, vec![0.0, 1.0, 0.0])
    );
    assert_eq!(dataset.column("wt"), [Some(80.0), None, Some(60.0)]);
    let replay = dataset.replay(&pk_model(), None).expect("replay");
    let weight = &replay.cohort.slots[pk_model().slot_index("WT").expect("slot")];
    assert_eq!(weight, &[80e6, 60e6]);
    assert_eq!(
        replay.cohort.names.as_deref(),
        Some(&["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!(replay.records, [vec![0, 1], vec![2]]);
    let mut out = Vec::new();
    dataset
        .write_predictions(&mut out, &[1.5, f64::NAN, 0.0], &["ok", "diverged", "ok"])
        .expect("written");
    let wanted = "c,Id,time,Amt,cmt,wT,note,PRED,STATUS\n.,a,0,100,IV,80,\"x, y\",1.5,ok\n.,a,1,.,.,.,z,.,diverged\n.,b,0,.,.,60,,0,ok\n";
    assert_eq!(String::from_utf8(out).expect("utf8"), wanted);
    assert!(
        dataset
            .write_predictions(Vec::new(), &[1.0], &["ok"])
            .is_err()
    );
}

#[test]
fn times_and_amounts_are_converted() {
    let dataset = read("ID,TIME (d),AMT (g),CMT,ADDL,II\n1,1,2,iv,1,1\n1,3,.,.,.,.\n");
    let replay = dataset.replay(&pk_model(), None).expect("replay");
    let line = replay.timelines.timeline(0).expect("lane");
    assert_eq!((line.start, line.end), (24.0, 72.0));
    let boluses: Vec<(f64, f64)> = line
        .events
        .iter()
        .filter_map(|event| match event.action {
            Action::Bolus { amount, .. } => Some((event.time, amount.value)),
            _ => None,
        })
        .collect();
    assert_eq!(boluses, [(24.0, 2000.0), (48.0, 2000.0)]);
}

#[test]
fn individuals_are_matched_by_name_or_order() {
    let model = pk_model();
    let dataset = read("ID,TIME,AMT,CMT\n2.0,0,1,iv\n7,0,1,iv\n");
    let named = Cohort::parse_csv(&model, "i.csv", b"ID,CL\n7,3\n9,1\n2,2\n").expect("individuals");
    let cl = model.slot_index("CL").expect("slot");
    let of = |base: &Cohort| {
        dataset
            .replay(&model, Some(base))
            .map(|r| r.cohort.slots[cl].clone())
    };
    assert_eq!(of(&named).expect("replay"), [2.0, 3.0]);
    let ordered = Cohort::parse_csv(&model, "i.csv", b"CL\n5\n6\n").expect("individuals");
    assert_eq!(of(&ordered).expect("replay"), [5.0, 6.0]);
    for base in ["ID,CL\n7,3\n", "CL\n5\n"] {
        let base = Cohort::parse_csv(&model, "i.csv", base.as_bytes()).expect("individuals");
        assert_eq!(
            of(&base)
                .expect_err("too few")
                .iter()
                .next()
                .map(|d| d.code),
            Some("D050")
        );
    }
}

#[test]
fn a_clock_that_starts_again_is_a_lane_of_its_own() {
    let text = "ID,TIME,AMT,CMT,EVID,WT\n1,0,5,iv,1,70\n1,9,.,.,3,.\n1,12,.,.,0,.\n1,2,5,iv,4,90\n1,3,.,.,0,.\n";
    let replay = read(text).replay(&pk_model(), None).expect("replay");
    assert_eq!(replay.records, [vec![0, 1, 2], vec![3, 4]]);
    assert_eq!(replay.subject_of_lane, [0, 0]);
    let starts: Vec<f64> = (0..2)
        .filter_map(|lane| replay.timelines.timeline(lane))
        .map(|line| line.start)
        .collect();
    assert_eq!(starts, [0.0, 2.0]);
    // a reset without a step back stays in its lane
    assert!(
        replay.timelines.timelines[0]
            .events
            .iter()
            .any(|event| event.action == Action::Reset)
    );
}

#[test]
fn columns_that_vary_become_events() {
    let replay = read("ID,TIME,WT\n1,0,.\n1,1,70\n1,2,80\n1,3,80\n")
        .replay(&pk_model(), None)
        .expect("replay");
    let slot = pk_model().slot_index("WT").expect("slot");
    assert_eq!(replay.cohort.slots[slot], [70e6]);
    let changes: Vec<f64> = replay.timelines.timelines[0]
        .events
        .iter()
        .filter(|event| matches!(event.action, Action::SetSlot { .. }))
        .map(|event| event.time)
        .collect();
    assert_eq!(changes, [2.0]);
}

#[test]
fn slips_in_names_of_columns_are_warned_of() {
    let dataset = read("ID,TIME,WTT,SITE\n1,0,70,3\n");
    let warnings: Vec<_> = dataset
        .warnings
        .iter()
        .map(|d| (d.code, d.column()))
        .collect();
    assert_eq!(warnings, [("D014", Some(9))]);
}

#[test]
fn individual_tables_are_checked() {
    let model = pk_model();
    let codes = |text: &str| -> Vec<&'static str> {
        Cohort::parse_csv(&model, "i.csv", text.as_bytes())
            .expect_err("bad")
            .iter()
            .map(|d| d.code)
            .collect()
    };
    assert_eq!(codes("ID,CLL\n1,2\n"), ["D014"]);
    assert_eq!(codes("ID,CL\n1,.\n2,x\n"), ["D011", "D010"]);
    assert_eq!(codes("ID,CL\n1,2\n1,3\n"), ["D051"]);
    assert_eq!(codes("ID,CL\n1,1000\n"), ["D015"]);
    assert_eq!(codes("CL,cl (mL/h)\n1,1\n"), ["D004"]);
    assert_eq!(codes("CL (mg)\n1\n"), ["D008"]);
    assert_eq!(codes("ID,CL\n"), ["D009"]);
    let cohort = Cohort::parse_csv(&model, "i.csv", b"cl (mL/min);bsa\n50;2\n").expect("cohort");
    assert_eq!(cohort.slots[model.slot_index("CL").expect("slot")], [3.0]);
    assert_eq!(
        cohort.slots[model.slot_index("BSA").expect("slot")],
        [200.0]
    );
}

#[test]
fn names_that_differ_in_capitals_must_be_exact() {
    let model = model_with(
        "k = { value = 1, unit = \"1\", source = \"x\" }\nK = { value = 2, unit = \"1\", source = \"x\" }\nAb = { value = 2, unit = \"1\", source = \"x\" }\naB = { value = 2, unit = \"1\", source = \"x\" }",
        "",
    );
    let cohort = Cohort::parse_csv(&model, "i.csv", b"K\n7\n").expect("exact");
    assert_eq!(cohort.slots[model.slot_index("K").expect("slot")], [7.0]);
    let found = Cohort::parse_csv(&model, "i.csv", b"AB\n7\n").expect_err("ambiguous");
    assert_eq!(found.iter().next().map(|d| d.code), Some("D013"));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = Dataset::parse("x", &bytes, &pk_model());
        let _ = Cohort::parse_csv(&pk_model(), "x", &bytes);
    }

    /// Tables that look right, with fields of every kind.
    #[test]
    fn any_fields_are_read_or_refused(
        rows in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(vec![
            "0", "1", "2", "3", "4", "5", "-1", "-2", ".", "", "12", "24", "1e9", "1e300", "-1e300", "nan", "iv", "oral",
            "central", "0.5", "\"", "100",
        ]), 12), 0..8)
    ) {
        let mut text = "ID,TIME,AMT,RATE,EVID,CMT,MDV,ADDL,II,SS,LAG,F1\n".to_owned();
        for row in rows {
            text.push_str(&row.join(","));
            text.push('\n');
        }
        let model = pk_model();
        if let Ok(dataset) = Dataset::parse("x", text.as_bytes(), &model)
            && let Ok(replay) = dataset.replay(&model, None)
        {
            let records: usize = replay.records.iter().map(Vec::len).sum();
            proptest::prop_assert_eq!(records, dataset.record_count());
            for lane in 0..replay.records.len() {
                let line = replay.timelines.timeline(lane).expect("lane");
                proptest::prop_assert_eq!(line.record_count(), replay.records[lane].len());
                proptest::prop_assert!(line.events.windows(2).all(|pair| pair[0].time <= pair[1].time));
                proptest::prop_assert!(line.events.iter().all(|e| e.time >= line.start && e.time <= line.end));
            }
        }
    }

    /// What is written is what was read.
    #[test]
    fn data_come_back_with_the_predictions(
        rows in proptest::collection::vec(("[a-z]{1,3}", 0u32..100, "[a-z \",.]{0,6}"), 1..10)
    ) {
        let mut names = std::collections::BTreeMap::new();
        for (name, time, note) in rows {
            names.entry(name).or_insert_with(Vec::new).push((time, note));
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["ID", "TIME", "NOTE"]).expect("memory");
        let mut count = 0;
        for (name, records) in &mut names {
            if crate::table::is_missing(name) { continue; }
            records.sort();
            for (time, note) in records {
                writer.write_record([name.as_str(), &time.to_string(), note.as_str()]).expect("memory");
                count += 1;
            }
        }
        let text = String::from_utf8(writer.into_inner().expect("memory")).expect("utf8");
        if count > 0 {
            let dataset = read(&text);
            let mut out = Vec::new();
            dataset.write_predictions(&mut out, &vec![0.25; count], &vec!["ok"; count]).expect("written");
            let out = String::from_utf8(out).expect("utf8");
            let again: String = out.lines().map(|line| {
                let line = line.strip_suffix(",0.25,ok").or_else(|| line.strip_suffix(",PRED,STATUS")).expect("columns");
                format!("{line}\n")
            }).collect();
            proptest::prop_assert_eq!(again, text);
        }
    }
}
