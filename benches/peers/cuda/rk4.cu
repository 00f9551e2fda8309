// Classic RK4 in CUDA C++ as a careful hand would write it for one model: a thread is a patient, his
// state and parameters stay in registers, one launch takes him from the start to the end, and arrays
// are [row][patient], so that neighbouring threads read and write neighbouring words. f32, plain
// sums, divisions as IEEE asks for; what does not change in time is computed before the loops.
//
// A shared library with a C interface, driven by ../python/cuda_rk4.py.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstring>

namespace {

constexpr int THREADS = 128;

struct TwelveState {
    static constexpr int STATES = 12;
    static constexpr int PARAMETERS = 22;

    float ka, k10, k12, k21, per_volume, dosing, km, growth, per_capacity, kill, ec50, s_e, p_e,
        half_tumour, m_e, d_e, ksyn, kdeg, ktr, slope, gamma, n0;

    __device__ explicit TwelveState(const float (&p)[PARAMETERS])
        : ka(p[0]), k10(p[1]), k12(p[2]), k21(p[3]), per_volume(1.0f / p[4]), dosing(p[5]), km(p[6]),
          growth(p[7]), per_capacity(1.0f / p[8]), kill(p[9]), ec50(p[10]), s_e(p[11]), p_e(p[12]),
          half_tumour(p[13]), m_e(p[14]), d_e(p[15]), ksyn(p[16]), kdeg(p[17]), ktr(p[18]), slope(p[19]),
          gamma(p[20]), n0(p[21]) {}

    __device__ void rates(const float (&y)[STATES], float (&dy)[STATES]) const {
        const float depot = y[0], central = y[1], peripheral = y[2], metabolite = y[3], tumour = y[4],
                    effector = y[5], cytokine = y[6], precursors = y[7], transit1 = y[8],
                    transit2 = y[9], transit3 = y[10], circulating = y[11];
        const float concentration = central * per_volume;
        const float effect = concentration / (concentration + ec50);
        const float feedback = powf(n0 / fmaxf(circulating, 0.001f), gamma);
        const float proliferation =
            ktr * precursors * fmaxf(1.0f - slope * concentration, 0.0f) * feedback;
        const float absorbed = ka * depot;
        const float there = k12 * central;
        const float back = k21 * peripheral;
        const float eliminated = k10 * central;
        const float flow0 = ktr * precursors;
        const float flow1 = ktr * transit1;
        const float flow2 = ktr * transit2;
        const float flow3 = ktr * transit3;
        dy[0] = -absorbed;
        dy[1] = absorbed + dosing + back - eliminated - there;
        dy[2] = there - back;
        dy[3] = eliminated - km * metabolite;
        dy[4] = growth * tumour * (1.0f - tumour * per_capacity) - kill * effect * tumour -
                m_e * effector * tumour;
        dy[5] = s_e + p_e * effector * tumour / (half_tumour + tumour) - d_e * effector;
        dy[6] = ksyn * effector - kdeg * cytokine;
        dy[7] = proliferation - flow0;
        dy[8] = flow0 - flow1;
        dy[9] = flow1 - flow2;
        dy[10] = flow2 - flow3;
        dy[11] = flow3 - ktr * circulating;
    }
};

struct SensitiveResistant {
    static constexpr int STATES = 3;
    static constexpr int PARAMETERS = 8;

    float kel, r_s, r_r, per_capacity, on_s, on_r, emax, ec50;

    __device__ explicit SensitiveResistant(const float (&p)[PARAMETERS])
        : kel(p[0]), r_s(p[1]), r_r(p[2]), per_capacity(1.0f / p[3]), on_s(p[4]), on_r(p[5]),
          emax(p[6]), ec50(p[7]) {}

    __device__ void rates(const float (&y)[STATES], float (&dy)[STATES]) const {
        const float drug = y[0], sensitive = y[1], resistant = y[2];
        const float effect = emax * drug / (ec50 + drug);
        dy[0] = -kel * drug;
        dy[1] = r_s * sensitive * (1.0f - (sensitive + on_s * resistant) * per_capacity) -
                effect * sensitive;
        dy[2] = r_r * resistant * (1.0f - (resistant + on_r * sensitive) * per_capacity);
    }
};

// With 40 states, more is alive than a thread has registers: the compiler keeps the rest in local
// memory.
template <int N>
struct Chain {
    static constexpr int STATES = N;
    static constexpr int PARAMETERS = N + 2;

    float p[PARAMETERS];

    __device__ explicit Chain(const float (&values)[PARAMETERS]) {
#pragma unroll
        for (int i = 0; i < PARAMETERS; i++) p[i] = values[i];
    }

    __device__ void rates(const float (&y)[STATES], float (&dy)[STATES]) const {
        const float k = p[0], vmax = p[1], km = p[2];
#pragma unroll
        for (int i = 0; i < N; i++) {
            const float lost = k * y[i] + vmax * y[i] / (km + y[i]);
            dy[i] = i == 0 ? -lost : p[i + 2] * y[i - 1] - lost;
        }
    }
};

// A stretch without events: `steps` steps of length `h`, then an output in row `output`, or none
// if that is negative. Doses at its start are in a table [segment][state].
struct Segment {
    int steps;
    float h;
    int output;
};

template <class Model>
__global__ void __launch_bounds__(THREADS)
    simulate(int patients, const float* __restrict__ values, const float* __restrict__ initial,
             int segments, const Segment* __restrict__ table, const float* __restrict__ doses,
             float* __restrict__ out) {
    constexpr int N = Model::STATES;
    const size_t patient = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    const size_t count = size_t(patients);
    if (patient >= count) return;

    float p[Model::PARAMETERS];
#pragma unroll
    for (int i = 0; i < Model::PARAMETERS; i++) p[i] = values[i * count + patient];
    const Model model(p);

    float y[N];
#pragma unroll
    for (int i = 0; i < N; i++) y[i] = initial[i * count + patient];

    for (int s = 0; s < segments; s++) {
        const Segment segment = table[s];
#pragma unroll
        for (int i = 0; i < N; i++) y[i] += doses[s * N + i];

        const float h = segment.h;
        const float half_h = 0.5f * h;
        const float sixth = h / 6.0f;
        for (int step = 0; step < segment.steps; step++) {
            // The four slopes are summed as they come, so that two arrays besides the state are alive.
            float k[N], at[N], sum[N];
            model.rates(y, k);
#pragma unroll
            for (int i = 0; i < N; i++) {
                sum[i] = k[i];
                at[i] = y[i] + half_h * k[i];
            }
            model.rates(at, k);
#pragma unroll
            for (int i = 0; i < N; i++) {
                sum[i] += 2.0f * k[i];
                at[i] = y[i] + half_h * k[i];
            }
            model.rates(at, k);
#pragma unroll
            for (int i = 0; i < N; i++) {
                sum[i] += 2.0f * k[i];
                at[i] = y[i] + h * k[i];
            }
            model.rates(at, k);
#pragma unroll
            for (int i = 0; i < N; i++) y[i] += sixth * (sum[i] + k[i]);
        }

        if (segment.output >= 0) {
#pragma unroll
            for (int i = 0; i < N; i++) out[(size_t(segment.output) * N + i) * count + patient] = y[i];
        }
    }
}

// One case at a time: what is on the device between runs.
struct Prepared {
    int patients = 0, segments = 0;
    float *values = nullptr, *initial = nullptr, *doses = nullptr, *out = nullptr;
    Segment* table = nullptr;
    float* host_out = nullptr;
    size_t out_bytes = 0;
} prepared;

template <class Model>
cudaError_t launch() {
    const unsigned blocks = (unsigned(prepared.patients) + THREADS - 1) / THREADS;
    simulate<Model><<<blocks, THREADS>>>(prepared.patients, prepared.values, prepared.initial,
                                         prepared.segments, prepared.table, prepared.doses,
                                         prepared.out);
    return cudaGetLastError();
}

struct Entry {
    const char* name;
    int states, parameters;
    cudaError_t (*launch)();
};

template <class Model>
constexpr Entry entry(const char* name) {
    return {name, Model::STATES, Model::PARAMETERS, &launch<Model>};
}

const Entry MODELS[] = {
    entry<TwelveState>("twelve-state"),
    entry<SensitiveResistant>("sensitive-resistant"),
    entry<Chain<20>>("chain-20"),
    entry<Chain<40>>("chain-40"),
};

const Entry* chosen = nullptr;

template <class T>
cudaError_t upload(T** device, const T* host, size_t count) {
    const cudaError_t error = cudaMalloc(reinterpret_cast<void**>(device), count * sizeof(T));
    if (error != cudaSuccess) return error;
    return cudaMemcpy(*device, host, count * sizeof(T), cudaMemcpyHostToDevice);
}

}  // namespace

#define TRY(call)                                                       \
    do {                                                                \
        const cudaError_t status_ = (call);                             \
        if (status_ != cudaSuccess) return cudaGetErrorString(status_); \
    } while (0)

extern "C" {

// The functions return null, or what went wrong.

// Writes the device's name, and the CUDA versions of the build and of the driver.
const char* rk4_device(char* name, int length, int* built, int* driver) {
    cudaDeviceProp properties;
    TRY(cudaGetDeviceProperties(&properties, 0));
    std::strncpy(name, properties.name, size_t(length) - 1);
    name[length - 1] = '\0';
    *built = CUDART_VERSION;
    TRY(cudaDriverGetVersion(driver));
    return nullptr;
}

// Puts a case on the device, once per process; `out` becomes the host's buffer of outputs
// [output][state][patient], page-locked so that copies run at full speed.
const char* rk4_prepare(const char* model, int patients, int states, int parameters,
                        const float* values, const float* initial, int segments, const int* steps,
                        const float* lengths, const int* output_rows, const float* doses, int outputs,
                        float** out) {
    for (const Entry& candidate : MODELS) {
        if (std::strcmp(candidate.name, model) == 0) chosen = &candidate;
    }
    if (chosen == nullptr) return "no such model in CUDA";
    if (chosen->states != states || chosen->parameters != parameters)
        return "the model has other numbers of states and parameters";

    const size_t count = size_t(patients);
    Segment* table = new Segment[size_t(segments)];
    for (int s = 0; s < segments; s++) table[s] = {steps[s], lengths[s], output_rows[s]};
    prepared.patients = patients;
    prepared.segments = segments;
    const cudaError_t copied = upload(&prepared.table, table, size_t(segments));
    delete[] table;
    TRY(copied);
    TRY(upload(&prepared.values, values, size_t(parameters) * count));
    TRY(upload(&prepared.initial, initial, size_t(states) * count));
    TRY(upload(&prepared.doses, doses, size_t(segments) * size_t(states)));
    prepared.out_bytes = size_t(outputs) * size_t(states) * count * sizeof(float);
    TRY(cudaMalloc(reinterpret_cast<void**>(&prepared.out), prepared.out_bytes));
    TRY(cudaMallocHost(reinterpret_cast<void**>(&prepared.host_out), prepared.out_bytes));
    *out = prepared.host_out;
    return nullptr;
}

// Simulates all patients and copies the outputs to the host.
const char* rk4_run() {
    TRY(chosen->launch());
    // On the stream of the kernel: it waits for the kernel, and returns when the copy is done.
    TRY(cudaMemcpy(prepared.host_out, prepared.out, prepared.out_bytes, cudaMemcpyDeviceToHost));
    return nullptr;
}
}
