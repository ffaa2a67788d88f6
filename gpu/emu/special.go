package emu

import "math"

// specials gives the value of each special register in a lane.
var specials = map[string]func(w *warp, lane int) uint32{
	"WARP_SZ":      func(*warp, int) uint32 { return warpSize },
	"%laneid":      func(_ *warp, lane int) uint32 { return uint32(lane) },
	"%warpid":      func(w *warp, _ int) uint32 { return uint32(w.id) },
	"%nwarpid":     func(w *warp, _ int) uint32 { return uint32(len(w.wk.warps)) },
	"%lanemask_eq": func(_ *warp, lane int) uint32 { return 1 << lane },
	"%lanemask_lt": func(_ *warp, lane int) uint32 { return 1<<lane - 1 },
	"%lanemask_le": func(_ *warp, lane int) uint32 { return 1<<lane<<1 - 1 },
	"%lanemask_gt": func(_ *warp, lane int) uint32 { return math.MaxUint32 << lane << 1 },
	"%lanemask_ge": func(_ *warp, lane int) uint32 { return math.MaxUint32 << lane },
	"%tid.x":       func(w *warp, lane int) uint32 { return uint32(w.thread(lane)[0]) },
	"%tid.y":       func(w *warp, lane int) uint32 { return uint32(w.thread(lane)[1]) },
	"%tid.z":       func(w *warp, lane int) uint32 { return uint32(w.thread(lane)[2]) },
	"%ntid.x":      func(w *warp, _ int) uint32 { return uint32(w.wk.l.cfg.Block[0]) },
	"%ntid.y":      func(w *warp, _ int) uint32 { return uint32(w.wk.l.cfg.Block[1]) },
	"%ntid.z":      func(w *warp, _ int) uint32 { return uint32(w.wk.l.cfg.Block[2]) },
	"%ctaid.x":     func(w *warp, _ int) uint32 { return uint32(w.wk.block[0]) },
	"%ctaid.y":     func(w *warp, _ int) uint32 { return uint32(w.wk.block[1]) },
	"%ctaid.z":     func(w *warp, _ int) uint32 { return uint32(w.wk.block[2]) },
	"%nctaid.x":    func(w *warp, _ int) uint32 { return uint32(w.wk.l.cfg.Grid[0]) },
	"%nctaid.y":    func(w *warp, _ int) uint32 { return uint32(w.wk.l.cfg.Grid[1]) },
	"%nctaid.z":    func(w *warp, _ int) uint32 { return uint32(w.wk.l.cfg.Grid[2]) },
	"%dynamic_smem_size": func(w *warp, _ int) uint32 {
		return uint32(w.wk.l.cfg.SharedBytes)
	},
}
