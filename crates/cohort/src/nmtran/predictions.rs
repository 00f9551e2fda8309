//! The output table: the input's columns with PRED and STATUS.

use std::io::{self, Write};

use super::Dataset;

impl Dataset {
    /// Writes one line per record, in the order of the file: the input's fields as they were,
    /// then PRED (`predictions[record]`, in the unit of the record's observable) and STATUS
    /// (`statuses[record]`). Columns of the input with these names become PRED_INPUT and
    /// STATUS_INPUT. A prediction that is not a number is written as `.`.
    ///
    /// # Errors
    /// Those of `out`, and [`io::ErrorKind::InvalidInput`] if there is not one prediction and
    /// one status per record.
    pub fn write_predictions(
        &self,
        out: impl Write,
        predictions: &[f64],
        statuses: &[impl AsRef<str>],
    ) -> io::Result<()> {
        let count = self.record_count();
        if predictions.len() != count || statuses.len() != count {
            let message = format!(
                "{} predictions and {} statuses for {count} records",
                predictions.len(),
                statuses.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut writer = csv::Writer::from_writer(out);
        let mut line: Vec<String> = Vec::new();
        for header in &self.table.header {
            let own = ["PRED", "STATUS"]
                .iter()
                .any(|own| header.name.eq_ignore_ascii_case(own));
            line.push(if own {
                format!("{}_INPUT", header.text)
            } else {
                header.text.clone()
            });
        }
        line.extend(["PRED".to_owned(), "STATUS".to_owned()]);
        writer.write_record(&line)?;
        let records = self.subjects.iter().flat_map(|subject| &subject.records);
        for ((record, prediction), status) in records.zip(predictions).zip(statuses) {
            line.clear();
            line.extend(self.table.rows[record.row].fields().map(str::to_owned));
            line.push(if prediction.is_finite() {
                prediction.to_string()
            } else {
                ".".to_owned()
            });
            line.push(status.as_ref().to_owned());
            writer.write_record(&line)?;
        }
        writer.flush()
    }
}
