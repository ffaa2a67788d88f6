package ptx

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokName             // identifiers and registers: foo, %r1, $L__BB0_2
	tokDot              // .word, text without the dot
	tokInt              // bits
	tokFloat            // bits, wide if 64-bit
	tokString           // text
	tokPunct            // one character
)

type token struct {
	kind tokenKind
	text string
	bits uint64
	wide bool
	line int
}

func (t token) is(punct string) bool { return t.kind == tokPunct && t.text == punct }

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the file"
	case tokDot:
		return "." + t.text
	}
	return t.text
}

// lexer turns the text into tokens; comments and white space vanish.
type lexer struct {
	src  string
	pos  int
	line int
}

func (l *lexer) errorf(format string, args ...any) error {
	return &Error{Line: l.line, Msg: fmt.Sprintf(format, args...)}
}

func isLetter(c byte) bool {
	return c == '_' || c == '$' || c == '%' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// skipSpace moves past white space and comments.
func (l *lexer) skipSpace() error {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case rest[0] == '\n':
			l.line++
			l.pos++
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r':
			l.pos++
		case strings.HasPrefix(rest, "//"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			l.pos += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest, "*/")
			if end < 0 {
				return l.errorf("comment without end")
			}
			l.line += strings.Count(rest[:end], "\n")
			l.pos += end + 2
		default:
			return nil
		}
	}
	return nil
}

// word consumes letters and digits from the current position.
func (l *lexer) word() string {
	start := l.pos
	for l.pos < len(l.src) && (isLetter(l.src[l.pos]) || isDigit(l.src[l.pos])) {
		l.pos++
	}
	return l.src[start:l.pos]
}

func (l *lexer) next() (token, error) {
	if err := l.skipSpace(); err != nil {
		return token{}, err
	}
	t := token{line: l.line}
	if l.pos == len(l.src) {
		return t, nil
	}
	c := l.src[l.pos]
	switch {
	case isLetter(c):
		t.kind, t.text = tokName, l.word()
	case c == '.':
		l.pos++
		t.kind, t.text = tokDot, l.word()
		for strings.HasPrefix(l.src[l.pos:], "::") { // .shared::cta, .L2::128B
			l.pos += 2
			t.text += "::" + l.word()
		}
		if t.text == "" {
			return t, l.errorf("nothing after a dot")
		}
	case isDigit(c):
		return l.number()
	case c == '"':
		end := strings.IndexAny(l.src[l.pos+1:], "\"\n")
		if end < 0 || l.src[l.pos+1+end] == '\n' {
			return t, l.errorf("string without end")
		}
		t.kind, t.text = tokString, l.src[l.pos+1:l.pos+1+end]
		l.pos += end + 2
	case strings.IndexByte("{}()[]<>,;:@!|+-=", c) >= 0:
		t.kind, t.text = tokPunct, l.src[l.pos:l.pos+1]
		l.pos++
	default:
		return t, l.errorf("unexpected character %q", c)
	}
	return t, nil
}

// number reads 12, 0x1F, 017, 0b11 (each with optional U), 1.5, 0f3F800000 and 0d3FF0000000000000.
func (l *lexer) number() (token, error) {
	t := token{kind: tokInt, line: l.line}
	start := l.pos
	t.text = l.word()
	if hex, ok := cutPrefixFold(t.text, "0f"); ok && len(hex) == 8 {
		return l.floatBits(t, hex, false)
	}
	if hex, ok := cutPrefixFold(t.text, "0d"); ok && len(hex) == 16 {
		return l.floatBits(t, hex, true)
	}
	if l.pos+1 < len(l.src) && l.src[l.pos] == '.' && isDigit(l.src[l.pos+1]) {
		l.pos++
		l.word()
		t.text = l.src[start:l.pos]
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return t, l.errorf("bad number %s", t.text)
		}
		t.kind, t.wide, t.bits = tokFloat, true, math.Float64bits(f)
		return t, nil
	}
	bits, err := strconv.ParseUint(strings.TrimSuffix(t.text, "U"), 0, 64)
	if err != nil || strings.Contains(t.text, "_") {
		return t, l.errorf("bad number %s", t.text)
	}
	t.bits = bits
	return t, nil
}

func (l *lexer) floatBits(t token, hex string, wide bool) (token, error) {
	bits, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		return t, l.errorf("bad number %s", t.text)
	}
	t.kind, t.bits, t.wide = tokFloat, bits, wide
	return t, nil
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// lex returns all tokens, ending with tokEOF.
func lex(src string) ([]token, error) {
	l := lexer{src: src, line: 1}
	var out []token
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		if t.kind == tokEOF {
			return out, nil
		}
	}
}
