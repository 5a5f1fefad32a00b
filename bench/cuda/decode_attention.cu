// decode_attention.cu - attention of one new token over an FP16 KV cache on a GPU: time and energy
//
// One query a head, scores, softmax and weighted sum in one pass over the cache (running maximum and
// sum in float32), keys shared out over blocks and added up by a second kernel. Several caches are
// used in turn, as the layers of a model are, so that the second-level cache does not hold them.
// Energy is the difference of NVML's counter over seconds of work; NVML is loaded when it is there.
// Prints a file for `leyden cost --device`.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        cudaError_t check_error = (call);                                                          \
        if (check_error != cudaSuccess) {                                                          \
            fprintf(stderr, "decode_attention: %s: %s\n", #call, cudaGetErrorString(check_error)); \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct Shape {
    int heads = 12, kv_heads = 12, width = 64, window = 1024, batch = 64;
    int layers = 0; // caches used in turn; 0: four times the second-level cache
    int runs = 25;  // samples, of which the median counts
    double seconds = 3;
};

// One cache of a layer: k and v (batch, kv_heads, window, width); q and out (batch, heads, width).
struct Layer {
    const half *q, *k, *v;
    half *out;
};

enum { WARPS = 4, THREADS = 32 * WARPS };

// Eight neighbouring halves as floats.
__device__ void load8(float x[8], const half *from) {
    uint4 raw = *reinterpret_cast<const uint4 *>(from);
    const half2 *pair = reinterpret_cast<const half2 *>(&raw);
    for (int i = 0; i < 4; i++) {
        float2 two = __half22float2(pair[i]);
        x[2 * i] = two.x;
        x[2 * i + 1] = two.y;
    }
}

// Softmax over some keys: maximum, sum, and the weighted sum of values that a lane holds.
struct Part {
    float most, sum, value[8];
};

__device__ void merge(Part *a, const Part &b) {
    float most = fmaxf(a->most, b.most);
    // Both empty: nothing to add up, and no difference of infinities.
    float left = a->most == -INFINITY ? 0 : __expf(a->most - most);
    float right = b.most == -INFINITY ? 0 : __expf(b.most - most);
    a->most = most;
    a->sum = a->sum * left + b.sum * right;
    for (int i = 0; i < 8; i++) {
        a->value[i] = a->value[i] * left + b.value[i] * right;
    }
}

__device__ Part shuffle(const Part &part, int distance) {
    Part other;
    other.most = __shfl_xor_sync(0xffffffffu, part.most, distance);
    other.sum = __shfl_xor_sync(0xffffffffu, part.sum, distance);
    for (int i = 0; i < 8; i++) {
        other.value[i] = __shfl_xor_sync(0xffffffffu, part.value[i], distance);
    }
    return other;
}

// Block (split, head, sequence): WIDTH / 8 lanes share a key, 32 / (WIDTH / 8) keys a warp at once.
// partial (batch, heads, splits, 2 + WIDTH).
template <int WIDTH>
__global__ void attend(float *partial, const half *q, const half *k, const half *v, int heads,
                       int kv_heads, int window) {
    constexpr int LANES = WIDTH / 8, KEYS = 32 / LANES;
    __shared__ Part shared[WARPS][LANES];
    int split = blockIdx.x, n_splits = gridDim.x, head = blockIdx.y, b = blockIdx.z;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, d = lane % LANES * 8;
    int first = (int)((int64_t)window * split / n_splits);
    int last = (int)((int64_t)window * (split + 1) / n_splits);
    int64_t cache = ((int64_t)b * kv_heads + head / (heads / kv_heads)) * window * WIDTH + d;
    float query[8], x[8];
    load8(query, q + ((int64_t)b * heads + head) * WIDTH + d);
    float scale = rsqrtf((float)WIDTH);
    Part part = {-INFINITY, 0, {0}};
    // The loop runs equally often in all lanes, which shuffles need.
    for (int base = first + warp * KEYS; base < last; base += WARPS * KEYS) {
        int s = base + lane / LANES;
        bool is_key = s < last;
        float score = 0;
        load8(x, k + cache + (int64_t)(is_key ? s : last - 1) * WIDTH);
        for (int i = 0; i < 8; i++) {
            score += query[i] * x[i];
        }
        for (int distance = 1; distance < LANES; distance *= 2) {
            score += __shfl_xor_sync(0xffffffffu, score, distance);
        }
        Part one = {is_key ? score * scale : -INFINITY, is_key ? 1.0f : 0.0f, {0}};
        load8(one.value, v + cache + (int64_t)(is_key ? s : last - 1) * WIDTH);
        merge(&part, one);
    }
    for (int distance = LANES; distance < 32; distance *= 2) {
        Part other = shuffle(part, distance);
        merge(&part, other);
    }
    if (lane < LANES) {
        shared[warp][lane] = part;
    }
    __syncthreads();
    if (warp == 0 && lane < LANES) {
        for (int w = 1; w < WARPS; w++) {
            merge(&part, shared[w][lane]);
        }
        float *to = partial + (((int64_t)b * heads + head) * n_splits + split) * (2 + WIDTH);
        to[0] = part.most;
        to[1] = part.sum;
        for (int i = 0; i < 8; i++) {
            to[2 + d + i] = part.value[i];
        }
    }
}

// Block (head, sequence), one thread a value.
__global__ void combine(half *out, const float *partial, int n_splits) {
    int width = blockDim.x, d = threadIdx.x;
    int64_t row = (int64_t)blockIdx.y * gridDim.x + blockIdx.x;
    const float *from = partial + row * n_splits * (2 + width);
    float most = -INFINITY, sum = 0, value = 0;
    for (int i = 0; i < n_splits; i++) {
        most = fmaxf(most, from[i * (2 + width)]);
    }
    for (int i = 0; i < n_splits; i++) {
        float left = __expf(from[i * (2 + width)] - most);
        sum += left * from[i * (2 + width) + 1];
        value += left * from[i * (2 + width) + 2 + d];
    }
    out[row * width + d] = __float2half(value / sum);
}

// Random numbers of -1..1, the same in every run.
__global__ void fill(half *x, int64_t n, uint32_t seed) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * blockDim.x) {
        uint32_t h = (uint32_t)i * 2654435761u ^ seed * 2246822519u;
        h = (h ^ h >> 15) * 2246822519u;
        h = (h ^ h >> 13) * 3266489917u;
        x[i] = __float2half((float)(h >> 8) / 8388608.0f - 1.0f);
    }
}

static half *new_array(int64_t n, uint32_t seed) {
    half *x;
    CHECK(cudaMalloc(&x, (size_t)n * sizeof *x));
    fill<<<1024, 256>>>(x, n, seed);
    CHECK(cudaGetLastError());
    return x;
}

template <int WIDTH>
static void launch_width(const Layer &layer, const Shape &shape, float *partial, int n_splits) {
    dim3 grid((unsigned)n_splits, (unsigned)shape.heads, (unsigned)shape.batch);
    attend<WIDTH><<<grid, THREADS>>>(partial, layer.q, layer.k, layer.v, shape.heads,
                                     shape.kv_heads, shape.window);
    combine<<<dim3((unsigned)shape.heads, (unsigned)shape.batch), WIDTH>>>(layer.out, partial,
                                                                          n_splits);
}

static void launch(const Layer &layer, const Shape &shape, float *partial, int n_splits) {
    switch (shape.width) {
    case 32: return launch_width<32>(layer, shape, partial, n_splits);
    case 64: return launch_width<64>(layer, shape, partial, n_splits);
    case 128: return launch_width<128>(layer, shape, partial, n_splits);
    default: return launch_width<256>(layer, shape, partial, n_splits);
    }
}

// The same in double on the host, for one head; returns the largest difference.
static double check_head(const Layer &layer, const Shape &shape, int b, int head) {
    int64_t D = shape.width, M = shape.window, group = shape.heads / shape.kv_heads;
    int64_t cache = ((int64_t)b * shape.kv_heads + head / group) * M * D;
    int64_t row = ((int64_t)b * shape.heads + head) * D;
    std::vector<half> q(D), k(M * D), v(M * D), out(D);
    CHECK(cudaMemcpy(q.data(), layer.q + row, D * 2, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(out.data(), layer.out + row, D * 2, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(k.data(), layer.k + cache, M * D * 2, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(v.data(), layer.v + cache, M * D * 2, cudaMemcpyDeviceToHost));
    std::vector<double> value(D, 0.0);
    double sum = 0, worst = 0;
    for (int64_t s = 0; s < M; s++) {
        double score = 0;
        for (int64_t d = 0; d < D; d++) {
            score += (double)__half2float(q[d]) * (double)__half2float(k[s * D + d]);
        }
        double p = exp(score / sqrt((double)D));
        sum += p;
        for (int64_t d = 0; d < D; d++) {
            value[d] += p * (double)__half2float(v[s * D + d]);
        }
    }
    for (int64_t d = 0; d < D; d++) {
        worst = std::max(worst, fabs(value[d] / sum - (double)__half2float(out[d])));
    }
    return worst;
}

// ---- energy

// The three functions of NVML that are used; its header is not needed.
struct Meter {
    void *device = nullptr;
    int (*energy)(void *, unsigned long long *) = nullptr; // mJ since the driver was loaded
};

static Meter open_meter(int device) {
    Meter meter;
    char bus[32];
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (!library || cudaDeviceGetPCIBusId(bus, sizeof bus, device) != cudaSuccess) {
        return meter;
    }
    auto init = (int (*)())dlsym(library, "nvmlInit_v2");
    auto find =
        (int (*)(const char *, void **))dlsym(library, "nvmlDeviceGetHandleByPciBusId_v2");
    auto energy =
        (int (*)(void *, unsigned long long *))dlsym(library, "nvmlDeviceGetTotalEnergyConsumption");
    unsigned long long unused;
    if (init && find && energy && init() == 0 && find(bus, &meter.device) == 0 &&
        energy(meter.device, &unused) == 0) {
        meter.energy = energy;
    }
    return meter;
}

static double read_j(const Meter &meter) {
    unsigned long long mj = 0;
    return meter.energy && meter.energy(meter.device, &mj) == 0 ? 1e-3 * (double)mj : NAN;
}

// ---- command line

static void usage(FILE *to) {
    fprintf(to,
            "Usage: decode_attention [OPTION VALUE]...\n"
            "Time and energy of one layer's attention for one new token over an FP16 KV cache;\n"
            "prints a file for leyden cost --device FILE.\n"
            "  --heads N      query heads (12)\n"
            "  --kv-heads N   key-value heads (12)\n"
            "  --width N      width of a head: 32, 64, 128, 256 (64)\n"
            "  --window N     tokens in the cache (1024)\n"
            "  --batch N      sequences at once (64)\n"
            "  --layers N     caches used in turn, 0: four times the L2 cache (0)\n"
            "  --runs N       samples; the median counts (25)\n"
            "  --seconds X    of work for the energy counter (3)\n");
}

static Shape parse(int argc, char **argv) {
    Shape shape;
    struct {
        const char *name;
        int *value;
        int low, high;
    } rows[] = {
        {"--heads", &shape.heads, 1, 65535},     {"--kv-heads", &shape.kv_heads, 1, 65535},
        {"--width", &shape.width, 32, 256},      {"--window", &shape.window, 1, 1 << 24},
        {"--batch", &shape.batch, 1, 65535},     {"--layers", &shape.layers, 0, 4096},
        {"--runs", &shape.runs, 1, 10000},
    };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            exit(0);
        }
        char *end = nullptr;
        double value = i + 1 < argc ? strtod(argv[i + 1], &end) : 0;
        bool is_known = false, is_number = i + 1 < argc && end != argv[i + 1] && *end == '\0';
        if (strcmp(argv[i], "--seconds") == 0) {
            is_known = is_number && value > 0 && value <= 3600;
            shape.seconds = value;
        }
        for (auto &row : rows) {
            if (strcmp(argv[i], row.name) == 0) {
                is_known = is_number && value >= row.low && value <= row.high &&
                           value == floor(value);
                *row.value = is_known ? (int)value : 0;
            }
        }
        if (!is_known) {
            fprintf(stderr, "decode_attention: %s: unknown, or its value is missing or out of "
                            "range; --help lists all\n", argv[i]);
            exit(2);
        }
        i++;
    }
    if (shape.heads % shape.kv_heads != 0 || (shape.width & (shape.width - 1)) != 0) {
        fprintf(stderr, "decode_attention: --heads must be a multiple of --kv-heads, --width one "
                        "of 32, 64, 128, 256\n");
        exit(2);
    }
    return shape;
}

// ---- measurement

// Seconds of `n` layers one after another, by the GPU's own clock.
static double time_layers(const std::vector<Layer> &layers, const Shape &shape, float *partial,
                          int n_splits, int n) {
    static cudaEvent_t begin, end;
    float ms;
    if (!begin) {
        CHECK(cudaEventCreate(&begin));
        CHECK(cudaEventCreate(&end));
    }
    CHECK(cudaEventRecord(begin));
    for (int i = 0; i < n; i++) {
        launch(layers[(size_t)i % layers.size()], shape, partial, n_splits);
    }
    CHECK(cudaEventRecord(end));
    CHECK(cudaEventSynchronize(end));
    CHECK(cudaGetLastError());
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    return 1e-3 * (double)ms;
}

// Joules of a layer and token: the counter over at least `seconds` of work. NAN: not readable.
static double measure_energy(const std::vector<Layer> &layers, const Shape &shape, float *partial,
                             int n_splits, int n, const Meter &meter) {
    double begin_j = read_j(meter), elapsed_s = 0;
    int64_t n_done = 0;
    while (meter.energy && elapsed_s < shape.seconds) {
        elapsed_s += time_layers(layers, shape, partial, n_splits, n);
        n_done += n;
    }
    return (read_j(meter) - begin_j) / ((double)n_done * shape.batch);
}

// Numbers with unit, range and source, as files of config/device have them.
static void print_row(const char *key, double value, const char *unit, double low, double high,
                      const char *source) {
    printf("  %s: {value: %.6g, unit: %s, low: %.6g, high: %.6g, source: \"%s\"}\n", key, value,
           unit, low, high, source);
}

int main(int argc, char **argv) {
    Shape shape = parse(argc, argv);
    cudaDeviceProp device;
    int driver = 0;
    CHECK(cudaGetDeviceProperties(&device, 0));
    CHECK(cudaDriverGetVersion(&driver));
    int64_t n_q = (int64_t)shape.batch * shape.heads * shape.width;
    int64_t n_kv = (int64_t)shape.batch * shape.kv_heads * shape.window * shape.width;
    int64_t bytes = 2 * 2 * n_kv;
    if (shape.layers == 0) {
        shape.layers = (int)std::min<int64_t>(4096, 1 + 4 * (int64_t)device.l2CacheSize / bytes);
    }
    std::vector<Layer> layers((size_t)shape.layers);
    for (size_t i = 0; i < layers.size(); i++) {
        uint32_t seed = 4 * (uint32_t)i;
        layers[i] = {new_array(n_q, seed), new_array(n_kv, seed + 1), new_array(n_kv, seed + 2),
                     new_array(n_q, seed + 3)};
    }
    // Enough blocks to fill the device a few times, each with keys for all its warps.
    int n_blocks = shape.heads * shape.batch;
    int n_splits = std::min((8 * device.multiProcessorCount + n_blocks - 1) / n_blocks,
                            std::max(1, shape.window / 64));
    float *partial;
    CHECK(cudaMalloc(&partial, (size_t)n_blocks * (size_t)n_splits * (size_t)(2 + shape.width) *
                                   sizeof(float)));
    // The first run warms up and is checked.
    int n = (int)layers.size();
    double once_s = time_layers(layers, shape, partial, n_splits, n) / n;
    double worst = std::max(check_head(layers[0], shape, 0, 0),
                            check_head(layers[n - 1], shape, shape.batch - 1, shape.heads - 1));
    if (!(worst < 2e-3)) {
        fprintf(stderr, "decode_attention: wrong result, off by %g\n", worst);
        return 1;
    }
    n = std::max(n, (int)(0.02 / std::max(once_s, 1e-7)));
    std::vector<double> sample;
    for (int i = 0; i < shape.runs; i++) {
        sample.push_back(time_layers(layers, shape, partial, n_splits, n) / n);
    }
    std::sort(sample.begin(), sample.end());
    double median_s = sample[sample.size() / 2];
    Meter meter = open_meter(0);
    double joules = measure_energy(layers, shape, partial, n_splits, n, meter);
    char source[512];
    snprintf(source, sizeof source,
             "decode_attention on %s: FP16 cache, batch %d, %d caches in turn, time and energy of a "
             "layer by the batch; median of %d; CUDA %d, driver %d",
             device.name, shape.batch, shape.layers, shape.runs, CUDART_VERSION, driver);
    printf("description: %s, measured by bench/cuda/decode_attention\nmeasured:\n", device.name);
    print_row("attention_s", median_s / shape.batch, "s", sample.front() / shape.batch,
              sample.back() / shape.batch, source);
    if (joules > 0) {
        print_row("attention_j", joules, "J", joules, joules, source);
    }
    print_row("heads", shape.heads, "1", shape.heads, shape.heads, source);
    print_row("kv_heads", shape.kv_heads, "1", shape.kv_heads, shape.kv_heads, source);
    print_row("width", shape.width, "1", shape.width, shape.width, source);
    print_row("tokens", shape.window, "1", shape.window, shape.window, source);
    fprintf(stderr, "a layer %.3f us for %d sequences: %.1f GB/s of cache; off by %.1e%s\n",
            1e6 * median_s, shape.batch, 1e-9 * (double)bytes / median_s, worst,
            joules > 0 ? "" : "; NVML gives no energy");
    return 0;
}
