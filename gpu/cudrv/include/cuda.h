// The part of the CUDA driver interface that gorgonia.org/cu v0.9.6 and this project call: names, values and layouts, no more.
// It names the _v2 symbols that every driver since CUDA 11 exports, so newer headers' renamings do not matter. Values, layouts and
// prototypes were compared with the headers of CUDA 11.8, 12.4 and 13.5: equal, but for CU_CTX_FLAGS_MASK (255 since 12) and
// cuGraphAddKernelNode, whose first form is meant here.
#ifndef EMDIFF_CUDA_H
#define EMDIFF_CUDA_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Handles.
typedef unsigned long long CUdeviceptr;
typedef int CUdevice;
typedef uint32_t cuuint32_t;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUarray_st *CUarray;
typedef struct CUtexref_st *CUtexref;
typedef struct CUsurfref_st *CUsurfref;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct CUlinkState_st *CUlinkState;
typedef struct { char bytes[16]; } CUuuid;
typedef void (*CUhostFn)(void *);

typedef enum {
	CUDA_SUCCESS,
	CUDA_ERROR_INVALID_VALUE,
	CUDA_ERROR_OUT_OF_MEMORY,
	CUDA_ERROR_NOT_INITIALIZED,
	CUDA_ERROR_DEINITIALIZED,
	CUDA_ERROR_PROFILER_DISABLED,
	CUDA_ERROR_PROFILER_NOT_INITIALIZED,
	CUDA_ERROR_PROFILER_ALREADY_STARTED,
	CUDA_ERROR_PROFILER_ALREADY_STOPPED,
	CUDA_ERROR_NO_DEVICE = 100,
	CUDA_ERROR_INVALID_DEVICE,
	CUDA_ERROR_INVALID_IMAGE = 200,
	CUDA_ERROR_INVALID_CONTEXT,
	CUDA_ERROR_CONTEXT_ALREADY_CURRENT,
	CUDA_ERROR_MAP_FAILED = 205,
	CUDA_ERROR_UNMAP_FAILED,
	CUDA_ERROR_ARRAY_IS_MAPPED,
	CUDA_ERROR_ALREADY_MAPPED,
	CUDA_ERROR_NO_BINARY_FOR_GPU,
	CUDA_ERROR_ALREADY_ACQUIRED,
	CUDA_ERROR_NOT_MAPPED,
	CUDA_ERROR_NOT_MAPPED_AS_ARRAY,
	CUDA_ERROR_NOT_MAPPED_AS_POINTER,
	CUDA_ERROR_ECC_UNCORRECTABLE,
	CUDA_ERROR_UNSUPPORTED_LIMIT,
	CUDA_ERROR_CONTEXT_ALREADY_IN_USE,
	CUDA_ERROR_PEER_ACCESS_UNSUPPORTED,
	CUDA_ERROR_INVALID_PTX,
	CUDA_ERROR_INVALID_GRAPHICS_CONTEXT,
	CUDA_ERROR_NVLINK_UNCORRECTABLE,
	CUDA_ERROR_JIT_COMPILER_NOT_FOUND,
	CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
	CUDA_ERROR_INVALID_SOURCE = 300,
	CUDA_ERROR_FILE_NOT_FOUND,
	CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND,
	CUDA_ERROR_SHARED_OBJECT_INIT_FAILED,
	CUDA_ERROR_OPERATING_SYSTEM,
	CUDA_ERROR_INVALID_HANDLE = 400,
	CUDA_ERROR_ILLEGAL_STATE,
	CUDA_ERROR_NOT_FOUND = 500,
	CUDA_ERROR_NOT_READY = 600,
	CUDA_ERROR_ILLEGAL_ADDRESS = 700,
	CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
	CUDA_ERROR_LAUNCH_TIMEOUT,
	CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING,
	CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED,
	CUDA_ERROR_PEER_ACCESS_NOT_ENABLED,
	CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE = 708,
	CUDA_ERROR_CONTEXT_IS_DESTROYED,
	CUDA_ERROR_ASSERT,
	CUDA_ERROR_TOO_MANY_PEERS,
	CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED,
	CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED,
	CUDA_ERROR_HARDWARE_STACK_ERROR,
	CUDA_ERROR_ILLEGAL_INSTRUCTION,
	CUDA_ERROR_MISALIGNED_ADDRESS,
	CUDA_ERROR_INVALID_ADDRESS_SPACE,
	CUDA_ERROR_INVALID_PC,
	CUDA_ERROR_LAUNCH_FAILED,
	CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
	CUDA_ERROR_NOT_PERMITTED = 800,
	CUDA_ERROR_NOT_SUPPORTED,
	CUDA_ERROR_SYSTEM_NOT_READY,
	CUDA_ERROR_SYSTEM_DRIVER_MISMATCH,
	CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE,
	CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
	CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
	CUDA_ERROR_STREAM_CAPTURE_MERGE,
	CUDA_ERROR_STREAM_CAPTURE_UNMATCHED,
	CUDA_ERROR_STREAM_CAPTURE_UNJOINED,
	CUDA_ERROR_STREAM_CAPTURE_ISOLATION,
	CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,
	CUDA_ERROR_CAPTURED_EVENT,
	CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD,
	CUDA_ERROR_TIMEOUT,
	CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE,
	CUDA_ERROR_UNKNOWN = 999,
} CUresult;

#define DEVATTR(name) CU_DEVICE_ATTRIBUTE_##name
typedef enum {
	DEVATTR(MAX_THREADS_PER_BLOCK) = 1,
	DEVATTR(MAX_BLOCK_DIM_X), DEVATTR(MAX_BLOCK_DIM_Y), DEVATTR(MAX_BLOCK_DIM_Z),
	DEVATTR(MAX_GRID_DIM_X), DEVATTR(MAX_GRID_DIM_Y), DEVATTR(MAX_GRID_DIM_Z),
	DEVATTR(MAX_SHARED_MEMORY_PER_BLOCK), DEVATTR(TOTAL_CONSTANT_MEMORY), DEVATTR(WARP_SIZE), DEVATTR(MAX_PITCH),
	DEVATTR(MAX_REGISTERS_PER_BLOCK), DEVATTR(CLOCK_RATE), DEVATTR(TEXTURE_ALIGNMENT), DEVATTR(GPU_OVERLAP),
	DEVATTR(MULTIPROCESSOR_COUNT), DEVATTR(KERNEL_EXEC_TIMEOUT), DEVATTR(INTEGRATED), DEVATTR(CAN_MAP_HOST_MEMORY), DEVATTR(COMPUTE_MODE),
	DEVATTR(MAXIMUM_TEXTURE1D_WIDTH), DEVATTR(MAXIMUM_TEXTURE2D_WIDTH), DEVATTR(MAXIMUM_TEXTURE2D_HEIGHT),
	DEVATTR(MAXIMUM_TEXTURE3D_WIDTH), DEVATTR(MAXIMUM_TEXTURE3D_HEIGHT), DEVATTR(MAXIMUM_TEXTURE3D_DEPTH),
	DEVATTR(MAXIMUM_TEXTURE2D_LAYERED_WIDTH), DEVATTR(MAXIMUM_TEXTURE2D_LAYERED_HEIGHT), DEVATTR(MAXIMUM_TEXTURE2D_LAYERED_LAYERS),
	DEVATTR(SURFACE_ALIGNMENT), DEVATTR(CONCURRENT_KERNELS), DEVATTR(ECC_ENABLED), DEVATTR(PCI_BUS_ID), DEVATTR(PCI_DEVICE_ID),
	DEVATTR(TCC_DRIVER), DEVATTR(MEMORY_CLOCK_RATE), DEVATTR(GLOBAL_MEMORY_BUS_WIDTH), DEVATTR(L2_CACHE_SIZE),
	DEVATTR(MAX_THREADS_PER_MULTIPROCESSOR), DEVATTR(ASYNC_ENGINE_COUNT), DEVATTR(UNIFIED_ADDRESSING),
	DEVATTR(MAXIMUM_TEXTURE1D_LAYERED_WIDTH), DEVATTR(MAXIMUM_TEXTURE1D_LAYERED_LAYERS), DEVATTR(CAN_TEX2D_GATHER),
	DEVATTR(MAXIMUM_TEXTURE2D_GATHER_WIDTH), DEVATTR(MAXIMUM_TEXTURE2D_GATHER_HEIGHT),
	DEVATTR(MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE), DEVATTR(MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE), DEVATTR(MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE),
	DEVATTR(PCI_DOMAIN_ID), DEVATTR(TEXTURE_PITCH_ALIGNMENT), DEVATTR(MAXIMUM_TEXTURECUBEMAP_WIDTH),
	DEVATTR(MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH), DEVATTR(MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS), DEVATTR(MAXIMUM_SURFACE1D_WIDTH),
	DEVATTR(MAXIMUM_SURFACE2D_WIDTH), DEVATTR(MAXIMUM_SURFACE2D_HEIGHT), DEVATTR(MAXIMUM_SURFACE3D_WIDTH),
	DEVATTR(MAXIMUM_SURFACE3D_HEIGHT), DEVATTR(MAXIMUM_SURFACE3D_DEPTH), DEVATTR(MAXIMUM_SURFACE1D_LAYERED_WIDTH),
	DEVATTR(MAXIMUM_SURFACE1D_LAYERED_LAYERS), DEVATTR(MAXIMUM_SURFACE2D_LAYERED_WIDTH), DEVATTR(MAXIMUM_SURFACE2D_LAYERED_HEIGHT),
	DEVATTR(MAXIMUM_SURFACE2D_LAYERED_LAYERS), DEVATTR(MAXIMUM_SURFACECUBEMAP_WIDTH), DEVATTR(MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH),
	DEVATTR(MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS), DEVATTR(MAXIMUM_TEXTURE1D_LINEAR_WIDTH), DEVATTR(MAXIMUM_TEXTURE2D_LINEAR_WIDTH),
	DEVATTR(MAXIMUM_TEXTURE2D_LINEAR_HEIGHT), DEVATTR(MAXIMUM_TEXTURE2D_LINEAR_PITCH), DEVATTR(MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH),
	DEVATTR(MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT), DEVATTR(COMPUTE_CAPABILITY_MAJOR), DEVATTR(COMPUTE_CAPABILITY_MINOR),
	DEVATTR(MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH), DEVATTR(STREAM_PRIORITIES_SUPPORTED), DEVATTR(GLOBAL_L1_CACHE_SUPPORTED),
	DEVATTR(LOCAL_L1_CACHE_SUPPORTED), DEVATTR(MAX_SHARED_MEMORY_PER_MULTIPROCESSOR), DEVATTR(MAX_REGISTERS_PER_MULTIPROCESSOR),
	DEVATTR(MANAGED_MEMORY), DEVATTR(MULTI_GPU_BOARD), DEVATTR(MULTI_GPU_BOARD_GROUP_ID), DEVATTR(HOST_NATIVE_ATOMIC_SUPPORTED),
	DEVATTR(SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO), DEVATTR(PAGEABLE_MEMORY_ACCESS), DEVATTR(CONCURRENT_MANAGED_ACCESS),
	DEVATTR(COMPUTE_PREEMPTION_SUPPORTED), DEVATTR(CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM),
	DEVATTR(MAX_SHARED_MEMORY_PER_BLOCK_OPTIN) = 97,
	// Older names of the same attributes.
	DEVATTR(SHARED_MEMORY_PER_BLOCK) = DEVATTR(MAX_SHARED_MEMORY_PER_BLOCK),
	DEVATTR(REGISTERS_PER_BLOCK) = DEVATTR(MAX_REGISTERS_PER_BLOCK),
	DEVATTR(MAXIMUM_TEXTURE2D_ARRAY_WIDTH) = DEVATTR(MAXIMUM_TEXTURE2D_LAYERED_WIDTH),
	DEVATTR(MAXIMUM_TEXTURE2D_ARRAY_HEIGHT) = DEVATTR(MAXIMUM_TEXTURE2D_LAYERED_HEIGHT),
	DEVATTR(MAXIMUM_TEXTURE2D_ARRAY_NUMSLICES) = DEVATTR(MAXIMUM_TEXTURE2D_LAYERED_LAYERS),
} CUdevice_attribute;
#undef DEVATTR

typedef enum {
	CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK = 1,
	CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED,
	CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED,
} CUdevice_P2PAttribute;

typedef enum {
	CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES,
	CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, CU_FUNC_ATTRIBUTE_NUM_REGS, CU_FUNC_ATTRIBUTE_PTX_VERSION, CU_FUNC_ATTRIBUTE_BINARY_VERSION,
	CU_FUNC_ATTRIBUTE_CACHE_MODE_CA, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
} CUfunction_attribute;

typedef enum {
	CU_POINTER_ATTRIBUTE_CONTEXT = 1, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
	CU_POINTER_ATTRIBUTE_HOST_POINTER, CU_POINTER_ATTRIBUTE_P2P_TOKENS, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS,
	CU_POINTER_ATTRIBUTE_BUFFER_ID, CU_POINTER_ATTRIBUTE_IS_MANAGED,
} CUpointer_attribute;

typedef enum {
	CU_JIT_MAX_REGISTERS, CU_JIT_THREADS_PER_BLOCK, CU_JIT_WALL_TIME, CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
	CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_OPTIMIZATION_LEVEL, CU_JIT_TARGET_FROM_CUCONTEXT, CU_JIT_TARGET,
	CU_JIT_FALLBACK_STRATEGY, CU_JIT_GENERATE_DEBUG_INFO, CU_JIT_LOG_VERBOSE, CU_JIT_GENERATE_LINE_INFO, CU_JIT_CACHE_MODE,
} CUjit_option;
typedef enum {
	CU_JIT_INPUT_CUBIN, CU_JIT_INPUT_PTX, CU_JIT_INPUT_FATBINARY, CU_JIT_INPUT_OBJECT, CU_JIT_INPUT_LIBRARY,
} CUjitInputType;
enum { CU_PREFER_PTX, CU_PREFER_BINARY };
enum { CU_JIT_CACHE_OPTION_NONE, CU_JIT_CACHE_OPTION_CG, CU_JIT_CACHE_OPTION_CA };
enum {
	CU_TARGET_COMPUTE_30 = 30, CU_TARGET_COMPUTE_32 = 32, CU_TARGET_COMPUTE_35 = 35, CU_TARGET_COMPUTE_37 = 37,
	CU_TARGET_COMPUTE_50 = 50, CU_TARGET_COMPUTE_52 = 52, CU_TARGET_COMPUTE_53 = 53,
	CU_TARGET_COMPUTE_60 = 60, CU_TARGET_COMPUTE_61 = 61, CU_TARGET_COMPUTE_62 = 62,
};

typedef enum { CU_FUNC_CACHE_PREFER_NONE, CU_FUNC_CACHE_PREFER_SHARED, CU_FUNC_CACHE_PREFER_L1, CU_FUNC_CACHE_PREFER_EQUAL } CUfunc_cache;
typedef enum {
	CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE, CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE, CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE,
} CUsharedconfig;
typedef enum {
	CU_LIMIT_STACK_SIZE, CU_LIMIT_PRINTF_FIFO_SIZE, CU_LIMIT_MALLOC_HEAP_SIZE, CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH,
	CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT,
} CUlimit;
typedef enum {
	CU_MEM_ADVISE_SET_READ_MOSTLY = 1, CU_MEM_ADVISE_UNSET_READ_MOSTLY, CU_MEM_ADVISE_SET_PREFERRED_LOCATION,
	CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION, CU_MEM_ADVISE_SET_ACCESSED_BY, CU_MEM_ADVISE_UNSET_ACCESSED_BY,
} CUmem_advise;
typedef enum { CU_MEMORYTYPE_HOST = 1, CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_UNIFIED } CUmemorytype;
typedef enum { CU_TR_ADDRESS_MODE_WRAP, CU_TR_ADDRESS_MODE_CLAMP, CU_TR_ADDRESS_MODE_MIRROR, CU_TR_ADDRESS_MODE_BORDER } CUaddress_mode;
typedef enum { CU_TR_FILTER_MODE_POINT, CU_TR_FILTER_MODE_LINEAR } CUfilter_mode;
typedef enum {
	CU_AD_FORMAT_UNSIGNED_INT8 = 1, CU_AD_FORMAT_UNSIGNED_INT16, CU_AD_FORMAT_UNSIGNED_INT32,
	CU_AD_FORMAT_SIGNED_INT8 = 8, CU_AD_FORMAT_SIGNED_INT16, CU_AD_FORMAT_SIGNED_INT32,
	CU_AD_FORMAT_HALF = 16, CU_AD_FORMAT_FLOAT = 32,
} CUarray_format;

// Flags.
enum {
	CU_CTX_SCHED_AUTO = 0, CU_CTX_SCHED_SPIN = 1, CU_CTX_SCHED_YIELD = 2, CU_CTX_SCHED_BLOCKING_SYNC = 4, CU_CTX_SCHED_MASK = 7,
	CU_CTX_MAP_HOST = 8, CU_CTX_LMEM_RESIZE_TO_MAX = 16, CU_CTX_FLAGS_MASK = 31,
};
enum { CU_MEM_ATTACH_GLOBAL = 1, CU_MEM_ATTACH_HOST = 2, CU_MEM_ATTACH_SINGLE = 4 };
enum { CU_STREAM_DEFAULT, CU_STREAM_NON_BLOCKING };
enum { CU_OCCUPANCY_DEFAULT, CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE };
enum { CU_EVENT_DEFAULT = 0, CU_EVENT_BLOCKING_SYNC = 1, CU_EVENT_DISABLE_TIMING = 2, CU_EVENT_INTERPROCESS = 4 };
enum { CU_TRSF_READ_AS_INTEGER = 1, CU_TRSF_NORMALIZED_COORDINATES = 2 };

// Structures: layouts of the 64-bit interface.
typedef struct { size_t Width, Height; CUarray_format Format; unsigned NumChannels; } CUDA_ARRAY_DESCRIPTOR;
typedef struct { size_t Width, Height, Depth; CUarray_format Format; unsigned NumChannels, Flags; } CUDA_ARRAY3D_DESCRIPTOR;
typedef struct {
	size_t srcXInBytes, srcY;
	CUmemorytype srcMemoryType;
	const void *srcHost;
	CUdeviceptr srcDevice;
	CUarray srcArray;
	size_t srcPitch, dstXInBytes, dstY;
	CUmemorytype dstMemoryType;
	void *dstHost;
	CUdeviceptr dstDevice;
	CUarray dstArray;
	size_t dstPitch, WidthInBytes, Height;
} CUDA_MEMCPY2D;
// The two 3D copies differ in one field per side.
#define MEMCPY3D(type, srcfield, dstfield)                                                                                     \
	typedef struct {                                                                                                       \
		size_t srcXInBytes, srcY, srcZ, srcLOD;                                                                        \
		CUmemorytype srcMemoryType;                                                                                    \
		const void *srcHost;                                                                                           \
		CUdeviceptr srcDevice;                                                                                         \
		CUarray srcArray;                                                                                              \
		srcfield;                                                                                                      \
		size_t srcPitch, srcHeight, dstXInBytes, dstY, dstZ, dstLOD;                                                   \
		CUmemorytype dstMemoryType;                                                                                    \
		void *dstHost;                                                                                                 \
		CUdeviceptr dstDevice;                                                                                         \
		CUarray dstArray;                                                                                              \
		dstfield;                                                                                                      \
		size_t dstPitch, dstHeight, WidthInBytes, Height, Depth;                                                       \
	} type
MEMCPY3D(CUDA_MEMCPY3D, void *reserved0, void *reserved1);
MEMCPY3D(CUDA_MEMCPY3D_PEER, CUcontext srcContext, CUcontext dstContext);
#undef MEMCPY3D
typedef struct { CUdeviceptr dst; size_t pitch; unsigned value, elementSize; size_t width, height; } CUDA_MEMSET_NODE_PARAMS;
typedef struct { CUhostFn fn; void *userData; } CUDA_HOST_NODE_PARAMS;
typedef struct {
	CUfunction func;
	unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
	void **kernelParams, **extra;
} CUDA_KERNEL_NODE_PARAMS;

// Symbols that took a second form when sizes became 64 bits wide or handles stricter.
#define cuDeviceTotalMem cuDeviceTotalMem_v2
#define cuDevicePrimaryCtxRelease cuDevicePrimaryCtxRelease_v2
#define cuDevicePrimaryCtxReset cuDevicePrimaryCtxReset_v2
#define cuDevicePrimaryCtxSetFlags cuDevicePrimaryCtxSetFlags_v2
#define cuCtxCreate cuCtxCreate_v2
#define cuCtxDestroy cuCtxDestroy_v2
#define cuCtxPopCurrent cuCtxPopCurrent_v2
#define cuCtxPushCurrent cuCtxPushCurrent_v2
#define cuModuleGetGlobal cuModuleGetGlobal_v2
#define cuLinkCreate cuLinkCreate_v2
#define cuLinkAddData cuLinkAddData_v2
#define cuLinkAddFile cuLinkAddFile_v2
#define cuMemGetInfo cuMemGetInfo_v2
#define cuMemAlloc cuMemAlloc_v2
#define cuMemAllocPitch cuMemAllocPitch_v2
#define cuMemFree cuMemFree_v2
#define cuMemGetAddressRange cuMemGetAddressRange_v2
#define cuMemcpyHtoD cuMemcpyHtoD_v2
#define cuMemcpyDtoH cuMemcpyDtoH_v2
#define cuMemcpyDtoD cuMemcpyDtoD_v2
#define cuMemcpyDtoA cuMemcpyDtoA_v2
#define cuMemcpyAtoD cuMemcpyAtoD_v2
#define cuMemcpyHtoA cuMemcpyHtoA_v2
#define cuMemcpyAtoH cuMemcpyAtoH_v2
#define cuMemcpyAtoA cuMemcpyAtoA_v2
#define cuMemcpyHtoDAsync cuMemcpyHtoDAsync_v2
#define cuMemcpyDtoHAsync cuMemcpyDtoHAsync_v2
#define cuMemcpyDtoDAsync cuMemcpyDtoDAsync_v2
#define cuMemcpyHtoAAsync cuMemcpyHtoAAsync_v2
#define cuMemcpyAtoHAsync cuMemcpyAtoHAsync_v2
#define cuMemcpy2D cuMemcpy2D_v2
#define cuMemcpy2DUnaligned cuMemcpy2DUnaligned_v2
#define cuMemcpy2DAsync cuMemcpy2DAsync_v2
#define cuMemcpy3D cuMemcpy3D_v2
#define cuMemcpy3DAsync cuMemcpy3DAsync_v2
#define cuMemsetD8 cuMemsetD8_v2
#define cuMemsetD16 cuMemsetD16_v2
#define cuMemsetD32 cuMemsetD32_v2
#define cuMemsetD2D8 cuMemsetD2D8_v2
#define cuMemsetD2D16 cuMemsetD2D16_v2
#define cuMemsetD2D32 cuMemsetD2D32_v2
#define cuArrayCreate cuArrayCreate_v2
#define cuArrayGetDescriptor cuArrayGetDescriptor_v2
#define cuArray3DCreate cuArray3DCreate_v2
#define cuArray3DGetDescriptor cuArray3DGetDescriptor_v2
#define cuStreamDestroy cuStreamDestroy_v2
#define cuEventDestroy cuEventDestroy_v2
#define cuTexRefSetAddress cuTexRefSetAddress_v2
#define cuTexRefSetAddress2D cuTexRefSetAddress2D_v3
#define cuTexRefGetAddress cuTexRefGetAddress_v2

// Driver, devices, contexts.
CUresult cuInit(unsigned);
CUresult cuDriverGetVersion(int *);
CUresult cuGetErrorString(CUresult, const char **);
CUresult cuDeviceGet(CUdevice *, int);
CUresult cuDeviceGetCount(int *);
CUresult cuDeviceGetName(char *, int, CUdevice);
CUresult cuDeviceGetUuid(CUuuid *, CUdevice);
CUresult cuDeviceTotalMem(size_t *, CUdevice);
CUresult cuDeviceGetAttribute(int *, CUdevice_attribute, CUdevice);
CUresult cuDeviceCanAccessPeer(int *, CUdevice, CUdevice);
CUresult cuDeviceGetP2PAttribute(int *, CUdevice_P2PAttribute, CUdevice, CUdevice);
CUresult cuDevicePrimaryCtxRetain(CUcontext *, CUdevice);
CUresult cuDevicePrimaryCtxRelease(CUdevice);
CUresult cuDevicePrimaryCtxReset(CUdevice);
CUresult cuDevicePrimaryCtxSetFlags(CUdevice, unsigned);
CUresult cuDevicePrimaryCtxGetState(CUdevice, unsigned *, int *);
CUresult cuCtxCreate(CUcontext *, unsigned, CUdevice);
CUresult cuCtxDestroy(CUcontext);
CUresult cuCtxPushCurrent(CUcontext);
CUresult cuCtxPopCurrent(CUcontext *);
CUresult cuCtxSetCurrent(CUcontext);
CUresult cuCtxGetCurrent(CUcontext *);
CUresult cuCtxGetDevice(CUdevice *);
CUresult cuCtxGetFlags(unsigned *);
CUresult cuCtxSynchronize(void);
CUresult cuCtxSetLimit(CUlimit, size_t);
CUresult cuCtxGetLimit(size_t *, CUlimit);
CUresult cuCtxGetCacheConfig(CUfunc_cache *);
CUresult cuCtxSetCacheConfig(CUfunc_cache);
CUresult cuCtxGetSharedMemConfig(CUsharedconfig *);
CUresult cuCtxSetSharedMemConfig(CUsharedconfig);
CUresult cuCtxGetApiVersion(CUcontext, unsigned *);
CUresult cuCtxGetStreamPriorityRange(int *, int *);
CUresult cuCtxResetPersistingL2Cache(void);
CUresult cuCtxEnablePeerAccess(CUcontext, unsigned);
CUresult cuCtxDisablePeerAccess(CUcontext);

// Modules, functions, linking.
CUresult cuModuleLoad(CUmodule *, const char *);
CUresult cuModuleLoadData(CUmodule *, const void *);
CUresult cuModuleLoadDataEx(CUmodule *, const void *, unsigned, CUjit_option *, void **);
CUresult cuModuleLoadFatBinary(CUmodule *, const void *);
CUresult cuModuleUnload(CUmodule);
CUresult cuModuleGetFunction(CUfunction *, CUmodule, const char *);
CUresult cuModuleGetGlobal(CUdeviceptr *, size_t *, CUmodule, const char *);
CUresult cuModuleGetTexRef(CUtexref *, CUmodule, const char *);
CUresult cuModuleGetSurfRef(CUsurfref *, CUmodule, const char *);
CUresult cuLinkCreate(unsigned, CUjit_option *, void **, CUlinkState *);
CUresult cuLinkAddData(CUlinkState, CUjitInputType, void *, size_t, const char *, unsigned, CUjit_option *, void **);
CUresult cuLinkAddFile(CUlinkState, CUjitInputType, const char *, unsigned, CUjit_option *, void **);
CUresult cuLinkComplete(CUlinkState, void **, size_t *);
CUresult cuLinkDestroy(CUlinkState);
CUresult cuFuncGetAttribute(int *, CUfunction_attribute, CUfunction);
CUresult cuFuncSetAttribute(CUfunction, CUfunction_attribute, int);
CUresult cuFuncSetCacheConfig(CUfunction, CUfunc_cache);
CUresult cuFuncSetSharedMemConfig(CUfunction, CUsharedconfig);
CUresult cuLaunchKernel(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **);
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *, CUfunction, int, size_t);
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *, CUfunction, int, size_t, unsigned);

// Memory.
CUresult cuMemGetInfo(size_t *, size_t *);
CUresult cuMemAlloc(CUdeviceptr *, size_t);
CUresult cuMemAllocPitch(CUdeviceptr *, size_t *, size_t, size_t, unsigned);
CUresult cuMemAllocManaged(CUdeviceptr *, size_t, unsigned);
CUresult cuMemFree(CUdeviceptr);
CUresult cuMemHostAlloc(void **, size_t, unsigned);
CUresult cuMemFreeHost(void *);
CUresult cuMemGetAddressRange(CUdeviceptr *, size_t *, CUdeviceptr);
CUresult cuMemAdvise(CUdeviceptr, size_t, CUmem_advise, CUdevice);
CUresult cuMemPrefetchAsync(CUdeviceptr, size_t, CUdevice, CUstream);
CUresult cuPointerGetAttribute(void *, CUpointer_attribute, CUdeviceptr);
CUresult cuPointerSetAttribute(const void *, CUpointer_attribute, CUdeviceptr);
CUresult cuMemcpy(CUdeviceptr, CUdeviceptr, size_t);
CUresult cuMemcpyPeer(CUdeviceptr, CUcontext, CUdeviceptr, CUcontext, size_t);
CUresult cuMemcpyHtoD(CUdeviceptr, const void *, size_t);
CUresult cuMemcpyDtoH(void *, CUdeviceptr, size_t);
CUresult cuMemcpyDtoD(CUdeviceptr, CUdeviceptr, size_t);
CUresult cuMemcpyDtoA(CUarray, size_t, CUdeviceptr, size_t);
CUresult cuMemcpyAtoD(CUdeviceptr, CUarray, size_t, size_t);
CUresult cuMemcpyHtoA(CUarray, size_t, const void *, size_t);
CUresult cuMemcpyAtoH(void *, CUarray, size_t, size_t);
CUresult cuMemcpyAtoA(CUarray, size_t, CUarray, size_t, size_t);
CUresult cuMemcpy2D(const CUDA_MEMCPY2D *);
CUresult cuMemcpy2DUnaligned(const CUDA_MEMCPY2D *);
CUresult cuMemcpy3D(const CUDA_MEMCPY3D *);
CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *);
CUresult cuMemcpyAsync(CUdeviceptr, CUdeviceptr, size_t, CUstream);
CUresult cuMemcpyPeerAsync(CUdeviceptr, CUcontext, CUdeviceptr, CUcontext, size_t, CUstream);
CUresult cuMemcpyHtoDAsync(CUdeviceptr, const void *, size_t, CUstream);
CUresult cuMemcpyDtoHAsync(void *, CUdeviceptr, size_t, CUstream);
CUresult cuMemcpyDtoDAsync(CUdeviceptr, CUdeviceptr, size_t, CUstream);
CUresult cuMemcpyHtoAAsync(CUarray, size_t, const void *, size_t, CUstream);
CUresult cuMemcpyAtoHAsync(void *, CUarray, size_t, size_t, CUstream);
CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D *, CUstream);
CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D *, CUstream);
CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *, CUstream);
CUresult cuMemsetD8(CUdeviceptr, unsigned char, size_t);
CUresult cuMemsetD16(CUdeviceptr, unsigned short, size_t);
CUresult cuMemsetD32(CUdeviceptr, unsigned, size_t);
CUresult cuMemsetD2D8(CUdeviceptr, size_t, unsigned char, size_t, size_t);
CUresult cuMemsetD2D16(CUdeviceptr, size_t, unsigned short, size_t, size_t);
CUresult cuMemsetD2D32(CUdeviceptr, size_t, unsigned, size_t, size_t);
CUresult cuMemsetD8Async(CUdeviceptr, unsigned char, size_t, CUstream);
CUresult cuMemsetD16Async(CUdeviceptr, unsigned short, size_t, CUstream);
CUresult cuMemsetD32Async(CUdeviceptr, unsigned, size_t, CUstream);
CUresult cuMemsetD2D8Async(CUdeviceptr, size_t, unsigned char, size_t, size_t, CUstream);
CUresult cuMemsetD2D16Async(CUdeviceptr, size_t, unsigned short, size_t, size_t, CUstream);
CUresult cuMemsetD2D32Async(CUdeviceptr, size_t, unsigned, size_t, size_t, CUstream);
CUresult cuArrayCreate(CUarray *, const CUDA_ARRAY_DESCRIPTOR *);
CUresult cuArrayGetDescriptor(CUDA_ARRAY_DESCRIPTOR *, CUarray);
CUresult cuArrayDestroy(CUarray);
CUresult cuArray3DCreate(CUarray *, const CUDA_ARRAY3D_DESCRIPTOR *);
CUresult cuArray3DGetDescriptor(CUDA_ARRAY3D_DESCRIPTOR *, CUarray);

// Streams, events.
CUresult cuStreamCreate(CUstream *, unsigned);
CUresult cuStreamCreateWithPriority(CUstream *, unsigned, int);
CUresult cuStreamDestroy(CUstream);
CUresult cuStreamGetPriority(CUstream, int *);
CUresult cuStreamGetFlags(CUstream, unsigned *);
CUresult cuStreamWaitEvent(CUstream, CUevent, unsigned);
CUresult cuStreamAttachMemAsync(CUstream, CUdeviceptr, size_t, unsigned);
CUresult cuStreamQuery(CUstream);
CUresult cuStreamSynchronize(CUstream);
CUresult cuStreamWaitValue32(CUstream, CUdeviceptr, cuuint32_t, unsigned);
CUresult cuStreamWriteValue32(CUstream, CUdeviceptr, cuuint32_t, unsigned);
CUresult cuEventCreate(CUevent *, unsigned);
CUresult cuEventDestroy(CUevent);
CUresult cuEventRecord(CUevent, CUstream);
CUresult cuEventQuery(CUevent);
CUresult cuEventSynchronize(CUevent);
CUresult cuEventElapsedTime(float *, CUevent, CUevent);

// Textures, surfaces.
CUresult cuTexRefSetArray(CUtexref, CUarray, unsigned);
CUresult cuTexRefSetAddress(size_t *, CUtexref, CUdeviceptr, size_t);
CUresult cuTexRefSetAddress2D(CUtexref, const CUDA_ARRAY_DESCRIPTOR *, CUdeviceptr, size_t);
CUresult cuTexRefSetFormat(CUtexref, CUarray_format, int);
CUresult cuTexRefSetAddressMode(CUtexref, int, CUaddress_mode);
CUresult cuTexRefSetFilterMode(CUtexref, CUfilter_mode);
CUresult cuTexRefSetMipmapFilterMode(CUtexref, CUfilter_mode);
CUresult cuTexRefSetMipmapLevelBias(CUtexref, float);
CUresult cuTexRefSetMipmapLevelClamp(CUtexref, float, float);
CUresult cuTexRefSetMaxAnisotropy(CUtexref, unsigned);
CUresult cuTexRefSetBorderColor(CUtexref, float *);
CUresult cuTexRefSetFlags(CUtexref, unsigned);
CUresult cuTexRefGetAddress(CUdeviceptr *, CUtexref);
CUresult cuTexRefGetArray(CUarray *, CUtexref);
CUresult cuTexRefGetAddressMode(CUaddress_mode *, CUtexref, int);
CUresult cuTexRefGetFilterMode(CUfilter_mode *, CUtexref);
CUresult cuTexRefGetFormat(CUarray_format *, int *, CUtexref);
CUresult cuTexRefGetMaxAnisotropy(int *, CUtexref);
CUresult cuTexRefGetBorderColor(float *, CUtexref);
CUresult cuTexRefGetFlags(unsigned *, CUtexref);
CUresult cuSurfRefSetArray(CUsurfref, CUarray, unsigned);
CUresult cuSurfRefGetArray(CUarray *, CUsurfref);

// Graphs.
CUresult cuGraphCreate(CUgraph *, unsigned);
CUresult cuGraphDestroy(CUgraph);
CUresult cuGraphClone(CUgraph *, CUgraph);
CUresult cuGraphAddDependencies(CUgraph, const CUgraphNode *, const CUgraphNode *, size_t);
CUresult cuGraphGetEdges(CUgraph, CUgraphNode *, CUgraphNode *, size_t *);
CUresult cuGraphAddEmptyNode(CUgraphNode *, CUgraph, const CUgraphNode *, size_t);
CUresult cuGraphAddChildGraphNode(CUgraphNode *, CUgraph, const CUgraphNode *, size_t, CUgraph);
CUresult cuGraphAddHostNode(CUgraphNode *, CUgraph, const CUgraphNode *, size_t, const CUDA_HOST_NODE_PARAMS *);
CUresult cuGraphAddKernelNode(CUgraphNode *, CUgraph, const CUgraphNode *, size_t, const CUDA_KERNEL_NODE_PARAMS *);
CUresult cuGraphAddMemcpyNode(CUgraphNode *, CUgraph, const CUgraphNode *, size_t, const CUDA_MEMCPY3D *, CUcontext);
CUresult cuGraphAddMemsetNode(CUgraphNode *, CUgraph, const CUgraphNode *, size_t, const CUDA_MEMSET_NODE_PARAMS *, CUcontext);
CUresult cuGraphDestroyNode(CUgraphNode);
CUresult cuGraphExecDestroy(CUgraphExec);

#endif
