// The driver's header as cu v0.9.6 knows it: on top of NVIDIA's cuda.h, or of ours. CUDA 13 gave seven names to newer versions of their
// functions; here they mean again what they meant up to CUDA 12, which drivers go on exporting and cu calls.
#include_next <cuda.h>

#if CUDA_VERSION >= 13000 && !defined(EMDIFF_COMPAT_CUDA_H)
#define EMDIFF_COMPAT_CUDA_H
#undef cuCtxCreate
#define cuCtxCreate cuCtxCreate_v2
#undef cuDeviceGetUuid
#undef cuEventElapsedTime
#undef cuMemAdvise
#undef cuMemPrefetchAsync
#undef cuGraphAddDependencies
#undef cuGraphGetEdges
CUresult CUDAAPI cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device);
CUresult CUDAAPI cuDeviceGetUuid(CUuuid *uuid, CUdevice device);
CUresult CUDAAPI cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end);
CUresult CUDAAPI cuMemAdvise(CUdeviceptr start, size_t bytes, CUmem_advise advice, CUdevice device);
CUresult CUDAAPI cuMemPrefetchAsync(CUdeviceptr start, size_t bytes, CUdevice device, CUstream stream);
CUresult CUDAAPI cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count);
CUresult CUDAAPI cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count);
#endif
