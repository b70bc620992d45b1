package configs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// environment holds variables by name.
type environment map[string]string

// parseEnviron reads what os.Environ returns. Later entries win.
func parseEnviron(entries []string) environment {
	env := make(environment, len(entries))
	for _, entry := range entries {
		if name, value, found := strings.Cut(entry, "="); found && name != "" {
			env[name] = value
		}
	}
	return env
}

var (
	errUnclosed = errors.New(`has "${" without "}"; write "$${" for "${" itself`)
	errName     = errors.New(`needs the name of a variable between "${" and "}"; write "$${" for "${" itself`)
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${NAME} and ${NAME:-default}; as in a shell the default also stands for an empty variable. "$${"
// becomes "${". The values are not expanded again. The error names what is missing, and shows nothing else of text.
func (e environment) expand(text string) (string, error) {
	var out strings.Builder
	var missing []string
	for {
		before, after, found := strings.Cut(text, "${")
		if !found {
			out.WriteString(text)
			break
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			out.WriteString(literal + "${")
			text = after
			continue
		}
		reference, rest, closed := strings.Cut(after, "}")
		if !closed {
			return "", errUnclosed
		}
		name, fallback, optional := strings.Cut(reference, ":-")
		if !variableName.MatchString(name) {
			return "", errName
		}
		value, set := e[name]
		switch {
		case optional && value == "":
			value = fallback
		case !optional && !set:
			missing = append(missing, name)
		}
		out.WriteString(before + value)
		text = rest
	}
	if missing != nil {
		return "", fmt.Errorf("needs variables that are not set: %s", strings.Join(missing, ", "))
	}
	return out.String(), nil
}

// escapeReferences makes expand return the text as it is.
func escapeReferences(text string) string { return strings.ReplaceAll(text, "${", "$${") }
