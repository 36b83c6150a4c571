package prosody

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// table is a table of Lua: what has a key, which is a string, a number or a boolean, and what has none.
type table struct {
	keyed map[any]any
	list  []any
}

// at returns what stands under a key as text, "" if that is none.
func (t *table) at(key any) string {
	s, _ := t.get(key).(string)
	return s
}

func (t *table) get(key any) any {
	if t == nil {
		return nil
	}
	return t.keyed[key]
}

func (t *table) table(key any) *table {
	inner, _ := t.get(key).(*table)
	return inner
}

func (t *table) truth(key any) bool {
	b, ok := t.get(key).(bool)
	return ok && b
}

func (t *table) number(key any) float64 {
	n, _ := t.get(key).(float64)
	return n
}

// deepest bounds tables inside one another.
const deepest = 100

var errLua = errors.New("not what Prosody writes")

// parse reads a file that Prosody wrote: "return VALUE;" with one value, or any number of "item(VALUE);". It is data, of Lua's
// syntax, and nothing is run.
func parse(text string) (values []any, err error) {
	p := &parser{s: text}
	for p.space(); p.s != ""; p.space() {
		switch {
		case p.word("return"):
			v, err := p.value(0)
			if err != nil {
				return nil, err
			}
			p.space()
			p.take(";")
			if p.space(); p.s != "" {
				return nil, errLua
			}
			return append(values, v), nil
		case p.take("item("):
			v, err := p.value(0)
			if err != nil {
				return nil, err
			}
			if p.space(); !p.take(")") {
				return nil, errLua
			}
			p.space()
			p.take(";")
			values = append(values, v)
		default:
			return nil, errLua
		}
	}
	return values, nil
}

type parser struct{ s string }

// space skips white space and comments of one line.
func (p *parser) space() {
	for {
		p.s = strings.TrimLeft(p.s, " \t\r\n")
		if !strings.HasPrefix(p.s, "--") || strings.HasPrefix(p.s, "--[[") {
			return
		}
		_, p.s, _ = strings.Cut(p.s, "\n")
	}
}

func (p *parser) take(s string) bool {
	rest, ok := strings.CutPrefix(p.s, s)
	if ok {
		p.s = rest
	}
	return ok
}

// word takes a word that does not go on.
func (p *parser) word(s string) bool {
	rest, ok := strings.CutPrefix(p.s, s)
	if !ok || rest != "" && inWord(rest[0]) {
		return false
	}
	p.s = rest
	return true
}

func inWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (p *parser) value(depth int) (any, error) {
	p.space()
	switch {
	case p.s == "" || depth > deepest:
		return nil, errLua
	case p.s[0] == '"' || p.s[0] == '\'':
		return p.text()
	case p.take("{"):
		return p.table(depth)
	case p.word("true"):
		return true, nil
	case p.word("false"):
		return false, nil
	case p.word("nil"):
		return nil, nil
	}
	n := 0
	for n < len(p.s) && (inWord(p.s[n]) || strings.IndexByte("+-.", p.s[n]) >= 0) {
		n++
	}
	f, err := strconv.ParseFloat(p.s[:n], 64)
	if err != nil {
		if i, e := strconv.ParseInt(p.s[:n], 0, 64); e == nil {
			f, err = float64(i), nil
		}
	}
	if err != nil {
		return nil, errLua
	}
	p.s = p.s[n:]
	return f, nil
}

func (p *parser) table(depth int) (*table, error) {
	t := &table{keyed: make(map[any]any)}
	for {
		p.space()
		if p.take("}") {
			return t, nil
		}
		key, named, err := p.key()
		if err != nil {
			return nil, err
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if named {
			t.keyed[key] = v
		} else {
			t.list = append(t.list, v)
		}
		if p.space(); !p.take(";") && !p.take(",") && !strings.HasPrefix(p.s, "}") {
			return nil, errLua
		}
	}
}

// key reads "[KEY] =" or "NAME =", if one is there.
func (p *parser) key() (key any, named bool, err error) {
	if p.take("[") {
		if key, err = p.value(deepest); err != nil {
			return nil, false, err
		}
		switch key.(type) {
		case string, float64, bool:
		default:
			return nil, false, errLua
		}
		if p.space(); !p.take("]") {
			return nil, false, errLua
		}
		if p.space(); !p.take("=") {
			return nil, false, errLua
		}
		return key, true, nil
	}
	n := 0
	for n < len(p.s) && inWord(p.s[n]) {
		n++
	}
	rest := strings.TrimLeft(p.s[n:], " \t\r\n")
	if n == 0 || p.s[0] >= '0' && p.s[0] <= '9' || !strings.HasPrefix(rest, "=") {
		return nil, false, nil
	}
	name := p.s[:n]
	p.s = rest[1:]
	return name, true, nil
}

var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '\\': '\\', '"': '"', '\'': '\'', '\n': '\n'}

// text reads a quoted string.
func (p *parser) text() (string, error) {
	quote := p.s[0]
	var b strings.Builder
	for i := 1; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == quote:
			p.s = p.s[i+1:]
			return b.String(), nil
		case c != '\\':
			b.WriteByte(c)
		default:
			if i++; i >= len(p.s) {
				return "", errLua
			}
			if e, ok := escapes[p.s[i]]; ok {
				b.WriteByte(e)
				continue
			}
			n, digits := 0, 0
			for digits < 3 && i+digits < len(p.s) && p.s[i+digits] >= '0' && p.s[i+digits] <= '9' {
				n = 10*n + int(p.s[i+digits]-'0')
				digits++
			}
			if digits == 0 || n > 255 {
				return "", fmt.Errorf("%w: an escape", errLua)
			}
			b.WriteByte(byte(n))
			i += digits - 1
		}
	}
	return "", errLua
}
