package config

import (
	"fmt"
	"strings"
)

// lines finds the line on which each key of a TOML text stands, for messages. The text has been parsed before. Keys
// within inline tables are not told apart from the key that holds the table.
func lines(text string) map[string]int {
	found := make(map[string]int)
	count := make(map[string]int) // of [[tables]]
	table, until := "", ""
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if until != "" { // inside a text of several lines
			if strings.Contains(line, until) {
				until = ""
			}
			continue
		}
		switch {
		case strings.HasPrefix(line, "[["):
			name, _, _ := strings.Cut(line[2:], "]]")
			name = cleanKey(name)
			table = fmt.Sprintf("%s[%d]", name, count[name])
			count[name]++
			found[table] = n + 1
			if found[name] == 0 {
				found[name] = n + 1
			}
		case strings.HasPrefix(line, "["):
			name, _, _ := strings.Cut(line[1:], "]")
			table = cleanKey(name)
			found[table] = n + 1
		case line == "" || line[0] == '#':
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				continue
			}
			full := join(table, cleanKey(key))
			if found[full] == 0 {
				found[full] = n + 1
			}
			for _, quotes := range []string{`"""`, "'''"} {
				if strings.Count(value, quotes) == 1 {
					until = quotes
				}
			}
		}
	}
	return found
}

// cleanKey is a dotted key without blanks and quotes.
func cleanKey(s string) string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return strings.Join(parts, ".")
}
