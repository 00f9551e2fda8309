use super::*;

fn parse(text: &str) -> Table {
    Table::parse("data.csv", text.as_bytes()).expect("readable")
}

fn codes(bytes: &[u8]) -> Vec<&'static str> {
    Table::parse("data.csv", bytes)
        .expect_err("bad")
        .iter()
        .map(|d| d.code)
        .collect()
}

#[test]
fn separators_units_comments_and_repeated_headers() {
    for (text, rows) in [
        ("ID,TIME (d),WT[kg]\n1,0,70\n", 1),
        (
            "# made by hand\n\nID;TIME (d);WT[kg]\r\n1;0;70\r\n# note\n2;0;80\n",
            2,
        ),
        (
            "\u{feff}#ID\tTIME (d)\tWT[kg]\n1\t0\t70\nid\ttime (d)\twt[kg]\n\t\t\n2\t0\t1\n",
            2,
        ),
    ] {
        let table = parse(text);
        assert_eq!(table.header[1].name, "TIME");
        assert_eq!(table.header[1].unit.as_deref(), Some("d"));
        assert_eq!(table.header[2].unit.as_deref(), Some("kg"));
        assert_eq!(table.rows.len(), rows, "{text:?}");
        assert_eq!(table.number(0, 2).expect("number"), Some(70.0));
    }
}

#[test]
fn numbers_missing_values_and_their_places() {
    let table = parse("ID,X\n\n# c\n1,.\n\"2\",nan\n3,1e999\n4,\"1,5\"\n5, -2e1 \n");
    assert_eq!(table.number(0, 1).expect("missing"), None);
    assert_eq!(table.number(4, 1).expect("number"), Some(-20.0));
    let error = table.number(1, 1).expect_err("nan");
    assert_eq!((error.code, error.position()), ("D010", Some((5, 5))));
    assert_eq!(
        table.number(2, 1).expect_err("infinite").position(),
        Some((6, 3))
    );
    let comma = table.number(3, 1).expect_err("decimal comma");
    assert!(comma.help[0].contains("decimal point"));
    assert_eq!(&table.source.text()[table.row_span(4)], "5, -2e1 ");
}

#[test]
fn unreadable_tables_are_explained() {
    assert_eq!(codes(b""), ["D002"]);
    assert_eq!(codes(b"# only a comment\n\n"), ["D002"]);
    assert_eq!(codes(b"1,2,3\n4,5,6\n"), ["D002"]);
    assert_eq!(codes(b"ID,TIME\n1,\xff\n"), ["D001"]);
    assert_eq!(codes(b"ID,TIME\n1,2,3\n1\n"), ["D003", "D003"]);
    assert_eq!(codes(b"ID,TIME,id\n"), ["D004"]);
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_a_table_or_diagnostics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        if let Ok(table) = Table::parse("x", &bytes) {
            for row in 0..table.rows.len() {
                let _ = (table.number(row, 0), table.row_span(row), table.field_span(row, 2));
            }
        }
    }

    #[test]
    fn spans_point_at_the_fields(cells in proptest::collection::vec("[a-z0-9. ]{0,5}", 2..6)) {
        let header: Vec<String> = (0..cells.len()).map(|i| format!("C{i}")).collect();
        let text = format!("{}\n9,{}\n", header.join(","), cells[1..].join(","));
        if let Ok(table) = Table::parse("x", text.as_bytes()) && !table.rows.is_empty() {
            for (column, cell) in cells.iter().enumerate().skip(1) {
                proptest::prop_assert_eq!(&table.source.text()[table.field_span(0, column)], cell.trim());
            }
        }
    }
}
