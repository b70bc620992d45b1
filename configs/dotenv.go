package configs

import (
	"errors"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// dotenv is what a .env file holds: values and the line of each.
type dotenv struct {
	values environment
	lines  map[string]int
}

// readDotenv reads a .env file. A missing file counts as empty.
func readDotenv(path string, r *report) dotenv {
	if path == "" {
		return dotenv{}
	}
	content, err := readFile(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dotenv{}
	case err != nil:
		r.unreadable(path, err)
		return dotenv{}
	}
	return parseDotenv(path, string(content), r)
}

// parseDotenv reads lines of NAME=VALUE, with "export " in front or not. A value ends at " #" or with the line; in
// 'single quotes' it is literal, in "double quotes" \n, \r, \t, \", \\ and \$ are escapes. Nothing is expanded, and no
// value goes over several lines. Faults show no values.
func parseDotenv(path, content string, r *report) dotenv {
	file := dotenv{values: environment{}, lines: map[string]int{}}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(content, "\ufeff")) {
		number++
		at := origin{name: path, line: number}.String()
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, text, found := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name = strings.TrimSpace(name)
		if !found || !variableName.MatchString(name) {
			r.add(Fault{Source: at, Reason: "must be NAME=VALUE, a comment or empty"})
			continue
		}
		value, fault := dotenvValue(strings.TrimSpace(text))
		if fault == "" && file.lines[name] != 0 {
			fault = "is already in " + origin{name: path, line: file.lines[name]}.String()
		}
		if fault != "" {
			r.add(Fault{Source: name + " in " + at, Reason: fault})
			continue
		}
		file.values[name], file.lines[name] = value, number
	}
	return file
}

// dotenvValue reads what is on the right of "=" and says what is wrong with it, or "".
func dotenvValue(text string) (value, fault string) {
	switch {
	case !utf8.ValidString(text):
		return "", errCharacters.Error()
	case text == "" || text[0] == '#':
		return "", ""
	case text[0] == '\'' || text[0] == '"':
		value, rest, fault := unquote(text)
		if rest = strings.TrimSpace(rest); fault == "" && rest != "" && rest[0] != '#' {
			fault = "has text after its closing quote"
		}
		return value, fault
	default:
		if comment := strings.Index(text, " #"); comment >= 0 {
			text = strings.TrimSpace(text[:comment])
		}
		return text, ""
	}
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '$': '$'}

// unquote reads a quoted value from the beginning of text. It also returns what follows the closing quote.
func unquote(text string) (value, rest, fault string) {
	end, escaping := text[0], text[0] == '"'
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case c == end:
			return out.String(), text[i+1:], ""
		case c == '\\' && escaping:
			i++
			if i == len(text) || escapes[text[i]] == 0 {
				return "", "", `has an unknown escape; known are \n \r \t \" \\ \$`
			}
			out.WriteByte(escapes[text[i]])
		default:
			out.WriteByte(c)
		}
	}
	return "", "", "has no closing quote on its line"
}
