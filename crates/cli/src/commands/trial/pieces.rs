//! Finished pieces of a run as parquet files, and what they belong to.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_schema::DataType;
use posology_trial::run::{Key, Store, StoreError};
use posology_trial::table::Values;
use posology_trial::{Table, Trial};
use serde::{Deserialize, Serialize};

use super::policies::{Checkpoint, Policies};
use crate::args::Shard;
use crate::error::{Class, Failure};
use crate::output::atomic::{Staging, json_bytes, write_file};
use crate::output::parquet::{TableWriter, doubles, field};
use crate::output::provenance;

/// Name of the folder of pieces in a finished result.
pub const FOLDER: &str = "pieces";
const MANIFEST: &str = "manifest.json";

/// What a run is: pieces of runs with equal manifests belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    program: String,
    trial: PathBuf,
    trial_sha256: String,
    model_sha256: String,
    /// Weights of the model's correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights_sha256: Option<String>,
    seed: Option<u64>,
    patients: Option<usize>,
    max_diverged: f64,
    /// Checkpoints of arms with a trained policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    policies: BTreeMap<String, Checkpoint>,
}

impl Manifest {
    /// Of a trial file as it is now.
    ///
    /// # Errors
    /// Class I/O.
    pub fn new(
        path: &Path,
        trial: &Trial,
        policies: Option<&Policies>,
        seed: Option<u64>,
        patients: Option<usize>,
        max_diverged: f64,
    ) -> Result<Self, Failure> {
        let absolute = std::fs::canonicalize(path).map_err(|e| Failure::io("read", path, &e))?;
        let weights = trial
            .model
            .correction
            .as_ref()
            .and_then(|c| c.file.as_ref());
        let weights = weights.map(|file| provenance::hash_file(file));
        let folder = absolute.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(Self {
            program: format!("posology {}", env!("CARGO_PKG_VERSION")),
            trial_sha256: provenance::hash_file(&absolute)?,
            model_sha256: provenance::hash_file(&folder.join(&trial.model_file))?,
            weights_sha256: weights.transpose()?,
            trial: absolute,
            seed,
            patients,
            max_diverged,
            policies: policies.map_or_else(BTreeMap::new, Policies::files),
        })
    }

    /// The trial and its policies, if its files are still what they were.
    ///
    /// # Errors
    /// Class data if they are not; what reading a trial file can say.
    pub fn trial(&self) -> Result<(Trial, Option<Arc<Policies>>), Failure> {
        let mut trial = Trial::load(&self.trial)?;
        for arm in &mut trial.arms {
            if let (Some(policy), Some(of)) = (&mut arm.trained, self.policies.get(&arm.name)) {
                *policy = policy.instead(of.path.clone());
            }
        }
        let policies = Policies::load(&trial)?;
        let now = Self::new(
            &self.trial,
            &trial,
            policies.as_deref(),
            self.seed,
            self.patients,
            self.max_diverged,
        )?;
        if !now.fits(&Self {
            program: now.program.clone(),
            ..self.clone()
        }) {
            let message = format!(
                "{}, its model or the checkpoint of a policy has changed since the pieces were made",
                self.trial.display()
            );
            return Err(Failure::new(Class::Data, message).help("run the trial again"));
        }
        Ok((trial, policies))
    }

    /// Checkpoints of arms with a trained policy.
    pub fn policies(&self) -> &BTreeMap<String, Checkpoint> {
        &self.policies
    }

    pub fn path(&self) -> &Path {
        &self.trial
    }

    pub fn hash(&self) -> &str {
        &self.trial_sha256
    }

    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    pub fn patients(&self) -> Option<usize> {
        self.patients
    }

    pub fn max_diverged(&self) -> f64 {
        self.max_diverged
    }

    /// Whether pieces of the other fit to this one; the places of the files do not matter.
    fn fits(&self, other: &Self) -> bool {
        let anywhere = |of: &Self| {
            let mut of = of.clone();
            of.trial = PathBuf::new();
            let files = of.policies.values_mut();
            files.for_each(|file| file.path = PathBuf::new());
            of
        };
        anywhere(self) == anywhere(other)
    }
}

/// A piece that no shard has.
#[derive(Debug, thiserror::Error)]
#[error("piece {0} of this trial is missing")]
pub struct Missing(String);

/// Pieces in one folder, or in several that are being merged.
pub struct Pieces {
    folder: PathBuf,
    known: BTreeMap<String, PathBuf>,
    shard: Option<Shard>,
    /// Missing pieces are errors, not work.
    complete: bool,
}

impl Pieces {
    /// Begins or goes on with a folder.
    ///
    /// # Errors
    /// Class data if the folder holds pieces of another run, unless `fresh`; class I/O.
    pub fn begin(
        folder: &Path,
        manifest: &Manifest,
        shard: Option<Shard>,
        fresh: bool,
    ) -> Result<Self, Failure> {
        if fresh && folder.join(MANIFEST).is_file() {
            std::fs::remove_dir_all(folder).map_err(|e| Failure::io("remove", folder, &e))?;
        }
        std::fs::create_dir_all(folder).map_err(|e| Failure::io("create", folder, &e))?;
        let path = folder.join(MANIFEST);
        if path.is_file() {
            if !read_manifest(folder)?.fits(manifest) {
                let message = format!("{} holds pieces of another run", folder.display());
                return Err(Failure::new(Class::Data, message).help(
                    "the trial, its model, a policy, the seed or the number of patients differ; add --fresh to begin again",
                ));
            }
        } else {
            write_file(&path, &json_bytes(manifest)?)?;
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            known: listed(folder)?,
            shard,
            complete: false,
        })
    }

    /// All pieces of several folders.
    ///
    /// # Errors
    /// Class data if the folders do not belong together or hold nothing.
    pub fn merge(folders: &[PathBuf]) -> Result<(Manifest, Self), Failure> {
        let mut manifest: Option<(Manifest, &PathBuf)> = None;
        let mut known = BTreeMap::new();
        for folder in folders {
            let found = read_manifest(folder)?;
            match &manifest {
                Some((first, place)) if !first.fits(&found) => {
                    let message = format!(
                        "{} and {} are parts of different runs",
                        place.display(),
                        folder.display()
                    );
                    return Err(Failure::new(Class::Data, message)
                        .help("shards of one run share trial, model, seed, patients and program"));
                }
                Some(_) => {}
                None => manifest = Some((found, folder)),
            }
            known.extend(listed(folder)?);
        }
        let Some((manifest, first)) = manifest else {
            return Err(Failure::usage("give the folders of the shards"));
        };
        let folder = first.clone();
        Ok((
            manifest,
            Self {
                folder,
                known,
                shard: None,
                complete: true,
            },
        ))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Pieces that are there.
    pub fn found(&self) -> usize {
        self.known.len()
    }

    /// Copies every piece into a result folder.
    ///
    /// # Errors
    /// Class I/O.
    pub fn copy_into(&self, staging: &Staging) -> Result<(), Failure> {
        let read = |path: &Path| std::fs::read(path).map_err(|e| Failure::io("read", path, &e));
        for path in self.known.values() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            staging.write(&format!("{FOLDER}/{name}"), &read(path)?)?;
        }
        staging.write(
            &format!("{FOLDER}/{MANIFEST}"),
            &read(&self.folder.join(MANIFEST))?,
        )
    }

    /// The pieces are in the result now.
    pub fn remove(self) {
        // what stays behind is only space
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn read_manifest(folder: &Path) -> Result<Manifest, Failure> {
    let path = folder.join(MANIFEST);
    let text = std::fs::read(&path).map_err(|e| {
        Failure::io("read", &path, &e)
            .help("this folder is no shard and no result of `posology trial`")
    })?;
    serde_json::from_slice(&text).map_err(|error| {
        Failure::new(
            Class::Data,
            format!("{} is no manifest: {error}", path.display()),
        )
    })
}

fn listed(folder: &Path) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut out = BTreeMap::new();
    let entries = std::fs::read_dir(folder).map_err(|e| Failure::io("read", folder, &e))?;
    for entry in entries {
        let path = entry.map_err(|e| Failure::io("read", folder, &e))?.path();
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        if let (Some(stem), Some("parquet")) = (stem, path.extension().and_then(|e| e.to_str()))
            && !stem.starts_with('.')
        {
            out.insert(stem, path);
        }
    }
    Ok(out)
}

fn refused(
    action: &'static str,
    piece: String,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError {
        action,
        piece,
        cause: cause.into(),
    }
}

impl Store for Pieces {
    fn wants(&self, key: Key) -> bool {
        self.shard
            .is_none_or(|shard| key.number() % u64::from(shard.of) == u64::from(shard.index - 1))
    }

    fn load(&mut self, key: Key) -> Result<Option<Table>, StoreError> {
        let name = key.name();
        match self.known.get(&name) {
            Some(path) => read(path, &name)
                .map(Some)
                .map_err(|cause| refused("reading", name, cause)),
            None if self.complete => Err(refused("reading", name.clone(), Missing(name))),
            None => Ok(None),
        }
    }

    fn save(&mut self, key: Key, piece: &Table) -> Result<(), StoreError> {
        let name = key.name();
        let path = self.folder.join(format!("{name}.parquet"));
        save(&path, piece)
            .map_err(|failure| refused("writing", name.clone(), failure.render(false)))?;
        self.known.insert(name, path);
        Ok(())
    }
}

/// Through a temporary sibling, so that a piece is there whole or not at all.
fn save(path: &Path, piece: &Table) -> Result<(), Failure> {
    let fields = piece
        .columns
        .iter()
        .map(|column| field(&column.name, DataType::Float64, None))
        .collect();
    let io = |e: &dyn std::fmt::Display| Failure::io("write", path, e);
    let mut part = path.to_path_buf();
    part.set_file_name(format!(
        ".{}.part",
        path.file_name().unwrap_or_default().to_string_lossy()
    ));
    let file = File::create(&part).map_err(|e| io(&e))?;
    let mut writer = TableWriter::new(file, path.to_path_buf(), fields, &[])?;
    writer.append(
        piece
            .columns
            .iter()
            .map(|column| match &column.values {
                Values::Number(values) => doubles(values.iter().copied()),
                _ => doubles(std::iter::empty()),
            })
            .collect(),
    )?;
    writer.close()?;
    std::fs::rename(&part, path).map_err(|e| io(&e))
}

fn read(path: &Path, name: &str) -> Result<Table, Box<dyn std::error::Error + Send + Sync>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let names: Vec<String> = reader
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    let mut columns: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
    for batch in reader.build()? {
        let batch = batch?;
        for (column, values) in columns.iter_mut().zip(batch.columns()) {
            let values = values
                .as_primitive_opt::<Float64Type>()
                .ok_or("a column does not hold numbers")?;
            column.extend(values.values().iter());
        }
    }
    let mut table = Table::new(name);
    for (name, values) in names.into_iter().zip(columns) {
        table.push(name, "", "", Values::Number(values));
    }
    Ok(table)
}
