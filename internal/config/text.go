package config

import (
	"encoding"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/turn"
)

// Level is a level of the log. The zero Level is info.
type Level slog.Level

var levels = map[string]Level{
	"debug": Level(slog.LevelDebug), "info": Level(slog.LevelInfo), "warn": Level(slog.LevelWarn),
	"error": Level(slog.LevelError), "critical": Level(event.LevelCritical),
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(b []byte) error {
	v, ok := levels[string(b)]
	if !ok {
		return fmt.Errorf("%q is not debug, info, warn, error or critical", b)
	}
	*l = v
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) {
	for name, v := range levels {
		if v == l {
			return []byte(name), nil
		}
	}
	return nil, fmt.Errorf("config: no level %d", l)
}

// codec reads and writes the values of a type as text.
type codec struct {
	parse  func(string) (any, error)
	format func(any) string
}

// codecs are for types that are not encoding.TextUnmarshaler themselves.
var codecs = map[reflect.Type]codec{
	reflect.TypeFor[time.Duration]():  {func(s string) (any, error) { return parseDuration(s) }, func(v any) string { return formatDuration(v.(time.Duration)) }},
	reflect.TypeFor[limit.Rate]():     {func(s string) (any, error) { return parseRate(s) }, func(v any) string { return formatRate(v.(limit.Rate)) }},
	reflect.TypeFor[turn.Bitrate]():   {func(s string) (any, error) { return parseBitrate(s) }, func(v any) string { return formatBitrate(v.(turn.Bitrate)) }},
	reflect.TypeFor[turn.PortRange](): {func(s string) (any, error) { return parsePorts(s) }, func(v any) string { return formatPorts(v.(turn.PortRange)) }},
}

// textual returns how a type is read and written as text, if it is.
func textual(t reflect.Type) (codec, bool) {
	if c, ok := codecs[t]; ok {
		return c, true
	}
	if !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || !t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return codec{}, false
	}
	return codec{
		func(s string) (any, error) {
			v := reflect.New(t)
			err := v.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
			return v.Elem().Interface(), err
		},
		func(v any) string {
			b, _ := v.(encoding.TextMarshaler).MarshalText()
			return string(b)
		},
	}, true
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf(`%q is no duration such as "90s", "5m" or "1h30m"`, s)
	}
	return d, nil
}

func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// A rate is "20/s burst 100", "10/min burst 10", "128KiB/s burst 512KiB" or "unlimited".
func parseRate(s string) (limit.Rate, error) {
	bad := fmt.Errorf(`%q is no rate such as "20/s burst 100", "10/min burst 10", "128KiB/s burst 512KiB" or "unlimited"`, s)
	if s == "unlimited" {
		return limit.Rate{}, nil
	}
	perTime, burst, ok := strings.Cut(s, " burst ")
	amount, unit, ok2 := strings.Cut(perTime, "/")
	seconds, ok3 := map[string]float64{"s": 1, "min": 60, "h": 3600}[unit]
	n, err1 := parseAmount(amount)
	b, err2 := parseAmount(burst)
	if !ok || !ok2 || !ok3 || err1 != nil || err2 != nil || n <= 0 || b < 1 {
		return limit.Rate{}, bad
	}
	return limit.Rate{PerSecond: n / seconds, Burst: b}, nil
}

func parseAmount(s string) (float64, error) {
	factor := 1.0
	for suffix, f := range map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, factor = rest, f
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err == nil && !(n >= 0 && n < 1e12) {
		err = strconv.ErrRange
	}
	return n * factor, err
}

func formatRate(r limit.Rate) string {
	if r.PerSecond == 0 {
		return "unlimited"
	}
	unit, n := "s", r.PerSecond
	if n != float64(int64(n)) {
		unit, n = "min", n*60
	}
	return formatAmount(n) + "/" + unit + " burst " + formatAmount(r.Burst)
}

func formatAmount(n float64) string {
	if whole := int64(n); float64(whole) == n && whole > 0 && whole%1024 == 0 {
		if whole%(1<<20) == 0 {
			return strconv.FormatInt(whole>>20, 10) + "MiB"
		}
		return strconv.FormatInt(whole>>10, 10) + "KiB"
	}
	return strconv.FormatFloat(n, 'g', -1, 64)
}

var bitrates = []struct {
	suffix string
	factor turn.Bitrate
}{{"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}, {"bit/s", 1}}

func parseBitrate(s string) (turn.Bitrate, error) {
	if s == "unlimited" {
		return 0, nil
	}
	for _, u := range bitrates {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			if n, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 32); err == nil {
				return turn.Bitrate(n) * u.factor, nil
			}
			break
		}
	}
	return 0, fmt.Errorf(`%q is no bit rate such as "10 Mbit/s", "500 kbit/s" or "unlimited"`, s)
}

func formatBitrate(b turn.Bitrate) string {
	if b == 0 {
		return "unlimited"
	}
	for _, u := range bitrates {
		if b%u.factor == 0 {
			return strconv.FormatUint(uint64(b/u.factor), 10) + " " + u.suffix
		}
	}
	return ""
}

func parsePorts(s string) (turn.PortRange, error) {
	first, last, two := strings.Cut(s, "-")
	if !two {
		last = first
	}
	a, err1 := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if s == "any" {
		return turn.PortRange{}, nil
	}
	if err1 != nil || err2 != nil || a == 0 || b < a {
		return turn.PortRange{}, fmt.Errorf(`%q is no range of ports such as "49152-65535", "10000" or "any"`, s)
	}
	return turn.PortRange{First: uint16(a), Last: uint16(b)}, nil
}

func formatPorts(r turn.PortRange) string {
	switch {
	case r == turn.PortRange{}:
		return "any"
	case r.First == r.Last:
		return strconv.Itoa(int(r.First))
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}
