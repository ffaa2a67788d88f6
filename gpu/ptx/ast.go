package ptx

import "fmt"

// Module is a parsed PTX file.
type Module struct {
	Version   Version
	Target    string // "sm_80"
	SM        int    // 80
	Vars      []Variable
	Functions []*Function
}

// Function finds a function by name, or returns nil.
func (m *Module) Function(name string) *Function {
	for _, f := range m.Functions {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Version is a PTX ISA version.
type Version struct{ Major, Minor int }

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Less reports whether v is older than w.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

// Space is a state space.
type Space uint8

// State spaces. Generic is what an address has when an instruction names none.
const (
	Generic Space = iota
	Param
	Global
	Shared
	Local
	Const
)

var spaceNames = map[string]Space{"param": Param, "global": Global, "shared": Shared, "shared::cta": Shared, "local": Local, "const": Const}

func (s Space) String() string {
	return [...]string{"generic", "param", "global", "shared", "local", "const"}[s]
}

// Type is a fundamental type.
type Type uint8

// Fundamental types.
const (
	NoType Type = iota
	Pred
	B8
	B16
	B32
	B64
	U8
	U16
	U32
	U64
	S8
	S16
	S32
	S64
	F16
	F16x2
	BF16
	BF16x2
	TF32
	F32
	F64
)

var typeNames = map[string]Type{"pred": Pred, "b8": B8, "b16": B16, "b32": B32, "b64": B64, "u8": U8, "u16": U16, "u32": U32, "u64": U64,
	"s8": S8, "s16": S16, "s32": S32, "s64": S64, "f16": F16, "f16x2": F16x2, "bf16": BF16, "bf16x2": BF16x2, "tf32": TF32, "f32": F32, "f64": F64}

func (t Type) String() string {
	for name, v := range typeNames {
		if v == t {
			return name
		}
	}
	return "none"
}

// TypeOf returns the type a modifier names, or NoType.
func TypeOf(modifier string) Type { return typeNames[modifier] }

// SpaceOf returns the state space a modifier names.
func SpaceOf(modifier string) (Space, bool) {
	s, ok := spaceNames[modifier]
	return s, ok
}

// Size returns bytes; a predicate has none.
func (t Type) Size() int {
	switch t {
	case B8, U8, S8:
		return 1
	case B16, U16, S16, F16, BF16:
		return 2
	case B32, U32, S32, F32, F16x2, BF16x2, TF32:
		return 4
	case B64, U64, S64, F64:
		return 8
	}
	return 0
}

// Class is what a type means, apart from its size.
type Class uint8

// Classes of types: untyped bits go with everything.
const (
	Bits Class = iota
	Integer
	Float
	Predicate
)

// Class returns the class of t. The packed and 16-bit float types live in untyped registers and count as Bits.
func (t Type) Class() Class {
	switch t {
	case U8, U16, U32, U64, S8, S16, S32, S64:
		return Integer
	case F32, F64:
		return Float
	case Pred:
		return Predicate
	}
	return Bits
}

// Signed reports whether t is a signed integer.
func (t Type) Signed() bool { return t >= S8 && t <= S64 }

// Variable is a declared piece of memory or a parameter.
type Variable struct {
	Name  string
	Space Space
	Type  Type
	Align int
	Size  int    // bytes; 0 for an extern array without length
	Init  []byte // initial contents, or nil
	Line  int
}

// Register is a declared virtual register.
type Register struct {
	Name string
	Type Type
}

// Function is an entry or a device function.
type Function struct {
	Name       string
	Entry      bool
	Params     []Variable
	Returns    []Variable
	MaxThreads int // product of .maxntid or .reqntid, 0 if not given
	Regs       []Register
	Vars       []Variable // shared and local, declared in the body
	Body       []Instruction
	Labels     map[string]int // index into Body
	Line       int
}

// Guard is the predicate in front of an instruction.
type Guard struct {
	Reg int // register index, -1 for none
	Not bool
}

// Instruction is one PTX instruction.
type Instruction struct {
	Line  int
	Guard Guard
	Op    string   // "ld"
	Mods  []string // "global", "v4", "f32"
	Types []Type   // those of Mods that are types, in order
	Args  []Operand
}

// Opcode returns the instruction's full name, "ld.global.v4.f32".
func (in *Instruction) Opcode() string {
	s := in.Op
	for _, m := range in.Mods {
		s += "." + m
	}
	return s
}

// Has reports whether the modifier is present.
func (in *Instruction) Has(modifier string) bool {
	for _, m := range in.Mods {
		if m == modifier {
			return true
		}
	}
	return false
}

// OperandKind says what an Operand is.
type OperandKind uint8

// Kinds of operands.
const (
	Reg     OperandKind = iota // Reg; Not for !p
	Imm                        // Imm: integer, two's complement
	FImm                       // Imm: bits; Type F32 or F64 says which
	Special                    // Sym: "%tid.x"
	Symbol                     // Sym: variable, function or label, plus Imm bytes
	Addr                       // [Reg+Imm] or [Sym+Imm] (Reg -1)
	Vector                     // Elems, {a, b} or (a, b)
	Pair                       // Elems: d|p
	Sink                       // _
)

var kindNames = [...]string{"register", "integer", "float", "special register", "symbol", "address", "vector", "pair", "sink"}

func (k OperandKind) String() string { return kindNames[k] }

// Operand is one operand of an instruction.
type Operand struct {
	Kind  OperandKind
	Not   bool
	Type  Type // of an FImm
	Reg   int
	Imm   uint64
	Sym   string
	Elems []Operand
}

// Error is a PTX text that cannot be accepted.
type Error struct {
	Line   int
	Opcode string // of the instruction at fault, if it is one
	Msg    string
}

func (e *Error) Error() string {
	if e.Opcode != "" {
		return fmt.Sprintf("PTX line %d: %s: %s", e.Line, e.Opcode, e.Msg)
	}
	return fmt.Sprintf("PTX line %d: %s", e.Line, e.Msg)
}
