//! Finding an adapter and opening it.

use std::sync::{Arc, OnceLock};

use cubecl::Device as CubeDevice;
use cubecl::client::Client;
use cubecl::wgpu::{RuntimeOptions, WgpuSetup, try_init_device};

/// What an adapter is and what it can hold.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterDescription {
    /// Position in [`list`], best first.
    pub index: usize,
    pub name: String,
    pub driver: String,
    pub backend: String,
    pub kind: AdapterKind,
    /// Largest storage binding, bytes.
    pub max_binding_bytes: u64,
    /// Largest buffer, bytes.
    pub max_buffer_bytes: u64,
    pub max_workgroups: u32,
    pub max_invocations: u32,
    pub max_storage_buffers: u32,
    pub shared_memory_bytes: u32,
    pub subgroup_size: (u32, u32),
}

/// Adapter classes, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    Discrete,
    Integrated,
    Virtual,
    Other,
    Software,
}

impl AdapterKind {
    pub fn name(self) -> &'static str {
        match self {
            AdapterKind::Discrete => "discrete GPU",
            AdapterKind::Integrated => "integrated GPU",
            AdapterKind::Virtual => "virtual GPU",
            AdapterKind::Other => "other",
            AdapterKind::Software => "software",
        }
    }
}

/// Why no device could be opened.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error(
        "no Vulkan, Metal or DirectX 12 adapter was found; on Debian or Ubuntu install the software \
         adapter with `apt-get install mesa-vulkan-drivers libvulkan1`, elsewhere the GPU's driver"
    )]
    NoAdapter,
    #[error("no adapter matches `{wanted}`; available: {available}")]
    NotFound { wanted: String, available: String },
    #[error("adapter `{name}` could not be opened: {cause}")]
    Open { name: String, cause: String },
    #[error("the device failed while {doing}: {cause}")]
    Lost { doing: &'static str, cause: String },
}

/// An opened device.
#[derive(Clone)]
pub struct Device {
    pub client: Client,
    /// The same device by the name that tensors know it by.
    pub runtime: CubeDevice,
    pub description: AdapterDescription,
    /// Whether compensated sums survive this adapter's compiler; probed once.
    pub(crate) compensation: Arc<OnceLock<bool>>,
}

fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    })
}

fn adapters(instance: &wgpu::Instance) -> Vec<(AdapterDescription, wgpu::Adapter)> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let mut found: Vec<(AdapterDescription, wgpu::Adapter)> =
        pollster::block_on(instance.enumerate_adapters(backends))
            .into_iter()
            .map(|adapter| (describe(&adapter), adapter))
            .collect();
    // stable: equally good adapters keep the driver's order
    found.sort_by_key(|(description, _)| description.kind);
    for (index, (description, _)) in found.iter_mut().enumerate() {
        description.index = index;
    }
    found
}

fn describe(adapter: &wgpu::Adapter) -> AdapterDescription {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
        wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
        wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
        wgpu::DeviceType::Cpu => AdapterKind::Software,
        wgpu::DeviceType::Other => AdapterKind::Other,
    };
    AdapterDescription {
        index: 0,
        name: info.name.clone(),
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .to_owned(),
        backend: format!("{:?}", info.backend),
        kind,
        max_binding_bytes: limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size),
        max_buffer_bytes: limits.max_buffer_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        shared_memory_bytes: limits.max_compute_workgroup_storage_size,
        subgroup_size: (info.subgroup_min_size, info.subgroup_max_size),
    }
}

/// The adapters of this machine, best first.
pub fn list() -> Vec<AdapterDescription> {
    adapters(&instance())
        .into_iter()
        .map(|(description, _)| description)
        .collect()
}

/// Open the adapter that `wanted` names: a position in [`list`], part of a name, or `software`;
/// the best one if `None`.
pub fn open(wanted: Option<&str>) -> Result<Device, DeviceError> {
    let instance = instance();
    let found = adapters(&instance);
    if found.is_empty() {
        return Err(DeviceError::NoAdapter);
    }
    let matches = |description: &AdapterDescription| match wanted {
        None => true,
        Some("software") => description.kind == AdapterKind::Software,
        Some(text) => match text.parse::<usize>() {
            Ok(index) => description.index == index,
            Err(_) => description
                .name
                .to_lowercase()
                .contains(&text.to_lowercase()),
        },
    };
    let available = || {
        found
            .iter()
            .map(|(d, _)| format!("{} {}", d.index, d.name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some((description, adapter)) = found.iter().find(|(d, _)| matches(d)) else {
        let wanted = wanted.unwrap_or_default().to_owned();
        return Err(DeviceError::NotFound {
            wanted,
            available: available(),
        });
    };
    let failed = |cause: String| DeviceError::Open {
        name: description.name.clone(),
        cause,
    };
    // the last four: tensor operations take them for granted where the adapter has them
    let features = adapter.features()
        & (wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::SUBGROUP
            | wgpu::Features::SHADER_F64
            | wgpu::Features::PIPELINE_CACHE
            | wgpu::Features::SHADER_INT64
            | wgpu::Features::SHADER_F16
            | wgpu::Features::SHADER_FLOAT32_ATOMIC
            | wgpu::Features::SHADER_INT64_ATOMIC_ALL_OPS);
    let request = wgpu::DeviceDescriptor {
        label: Some("posology"),
        required_features: features,
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..wgpu::DeviceDescriptor::default()
    };
    let (device, queue) =
        pollster::block_on(adapter.request_device(&request)).map_err(|e| failed(e.to_string()))?;
    let backend = adapter.get_info().backend;
    let setup = WgpuSetup {
        instance: instance.clone(),
        adapter: adapter.clone(),
        device,
        queue,
        backend,
    };
    let options = RuntimeOptions::try_default().map_err(|e| failed(e.to_string()))?;
    let device = try_init_device(setup, options).map_err(|e| failed(e.to_string()))?;
    let runtime = CubeDevice::Wgpu(device);
    Ok(Device {
        client: runtime.client(),
        runtime,
        description: description.clone(),
        compensation: Arc::default(),
    })
}
