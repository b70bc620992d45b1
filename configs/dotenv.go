package configs

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// dotenv is what a .env file holds: values and the line of each.
type dotenv struct {
	path   string // empty: no file was read
	values environment
	lines  map[string]int
}

// dotenv reads the .env file that was asked for or else, if it is there, the one beside the YAML file. None is ever
// looked for in the working directory, where somebody else may have left one.
func (l *loader) dotenv(sources Sources, environ environment) dotenv {
	path := cmp.Or(sources.DotEnv, environ[dotEnvVariable])
	beside := ""
	if file := cmp.Or(sources.File, environ[fileVariable]); path == "" && file != "" {
		path, beside = filepath.Join(filepath.Dir(file), ".env"), file
	}
	if path == "" || sources.NoDotEnv {
		return dotenv{}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && beside != "":
		return dotenv{}
	case err == nil && !info.Mode().IsRegular():
		err = errNotRegular
	case err == nil:
		err = trusted(info, beside)
	}
	var content []byte
	if err == nil {
		content, err = readFile(path, maxFile)
	}
	if err != nil {
		l.report.unreadable(path, err)
		return dotenv{}
	}
	return parseDotenv(path, string(content), &l.report)
}

var (
	errWritable = errors.New("others may write it; take their permission away with chmod go-w")
	errForeign  = errors.New("it belongs to another user than the configuration file; name it with --env-file to use it")
)

// trusted returns an error if others than the owner may write a file or, for one that nobody asked for, if it belongs
// to somebody who neither runs this process nor owns the configuration file beside it.
func trusted(info fs.FileInfo, beside string) error {
	if info.Mode().Perm()&0o022 != 0 {
		return errWritable
	}
	if beside == "" {
		return nil
	}
	owner := ownerOf(info)
	if owner == 0 || owner == os.Geteuid() {
		return nil
	}
	if file, err := os.Stat(beside); err != nil || owner != ownerOf(file) {
		return errForeign
	}
	return nil
}

// ownerOf returns the number of the user that a file belongs to, 0 where files have none.
func ownerOf(info fs.FileInfo) int {
	if system, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(system.Uid)
	}
	return 0
}

// under returns the variables of both. Those of env win, unless they are empty.
func (e environment) under(env environment) environment {
	both := maps.Clone(env)
	for name, value := range e {
		if both[name] == "" {
			both[name] = value
		}
	}
	return both
}

// parseDotenv reads lines of NAME=VALUE, with "export " in front or not. A value ends at " #" or with the line; in
// 'single quotes' it is literal, in "double quotes" \n, \r, \t, \", \\ and \$ are escapes. Nothing is expanded, and no
// value goes over several lines. Faults show no values.
func parseDotenv(path, content string, r *report) dotenv {
	file := dotenv{path: path, values: environment{}, lines: map[string]int{}}
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
