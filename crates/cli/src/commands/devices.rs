//! `posology devices`

use posology_kernels::device::{self, AdapterDescription};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Failure;
use crate::table;

/// List the adapters; the one that commands use by default is marked.
pub fn run(context: &Context) -> Result<(), Failure> {
    let adapters = device::list();
    if adapters.is_empty() {
        return Err(device::DeviceError::NoAdapter.into());
    }
    if context.global.json {
        let all: Vec<Value> = adapters.iter().map(describe).collect();
        return context.print_json(&json!({ "devices": all }));
    }
    let rows: Vec<Vec<String>> = adapters.iter().map(row).collect();
    let header = [
        "",
        "N",
        "name",
        "kind",
        "backend",
        "binding",
        "buffer",
        "workgroups",
        "shared",
        "subgroup",
        "driver",
    ];
    context.print(&table::render(&header, &rows))?;
    context.note("* used unless --device says otherwise");
    Ok(())
}

/// An adapter for JSON.
pub fn describe(adapter: &AdapterDescription) -> Value {
    json!({
        "index": adapter.index,
        "best": adapter.index == 0,
        "name": adapter.name,
        "kind": adapter.kind.name(),
        "backend": adapter.backend,
        "driver": adapter.driver,
        "max_binding_bytes": adapter.max_binding_bytes,
        "max_buffer_bytes": adapter.max_buffer_bytes,
        "max_workgroups": adapter.max_workgroups,
        "max_invocations": adapter.max_invocations,
        "max_storage_buffers": adapter.max_storage_buffers,
        "shared_memory_bytes": adapter.shared_memory_bytes,
        "subgroup_size": [adapter.subgroup_size.0, adapter.subgroup_size.1],
    })
}

fn row(adapter: &AdapterDescription) -> Vec<String> {
    let subgroup = match adapter.subgroup_size {
        (low, high) if low == high => low.to_string(),
        (low, high) => format!("{low}-{high}"),
    };
    vec![
        if adapter.index == 0 {
            "*".to_owned()
        } else {
            String::new()
        },
        adapter.index.to_string(),
        adapter.name.clone(),
        adapter.kind.name().to_owned(),
        adapter.backend.clone(),
        bytes(adapter.max_binding_bytes),
        bytes(adapter.max_buffer_bytes),
        adapter.max_workgroups.to_string(),
        bytes(u64::from(adapter.shared_memory_bytes)),
        subgroup,
        adapter.driver.clone(),
    ]
}

/// Bytes in binary units.
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            return format!("{} {unit}", table::number(value, 3));
        }
        value /= 1024.0;
    }
    format!("{} PiB", table::number(value, 3))
}
