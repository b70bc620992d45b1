package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong with the configuration. It never shows a secret.
type Fault struct {
	Source string // "openhqm.yaml:12", the name of a variable or a flag; empty where nobody set the key
	Key    string // "server.port"; empty when the fault is in no single key
	Value  string // what was written, quoted; empty where there is nothing to show
	Reason string // what is allowed, or what went wrong
}

// String returns the fault in one line.
func (f Fault) String() string {
	parts := make([]string, 0, 4)
	for _, part := range []string{f.Source, f.Key, f.Value, f.Reason} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Error says why a configuration cannot be used. It holds every fault that was found.
type Error struct {
	Faults []Fault // at least one
}

// Error lists the faults, one a line.
func (e *Error) Error() string {
	noun := "faults"
	if len(e.Faults) == 1 {
		noun = "fault"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "configuration: %d %s", len(e.Faults), noun)
	for _, fault := range e.Faults {
		out.WriteString("\n  " + fault.String())
	}
	return out.String()
}

// Blames reports whether a fault is in one of these keys.
func (e *Error) Blames(keys ...string) bool {
	return slices.ContainsFunc(e.Faults, func(f Fault) bool { return slices.Contains(keys, f.Key) })
}

// Join returns an *Error with the faults of all that are one, or nil if there are none. A key is blamed once. Another
// error becomes a fault in no key.
func Join(errs ...error) error {
	var all report
	for _, err := range errs {
		if faulty, ok := errors.AsType[*Error](err); ok {
			for _, fault := range faulty.Faults {
				all.add(fault)
			}
		} else if err != nil {
			all.add(Fault{Reason: err.Error()})
		}
	}
	return all.err()
}

// Warning is something odd that does not prevent the start.
type Warning struct {
	Source string // the name of a variable, or a place in a file
	Text   string
}

// String returns the warning in one line.
func (w Warning) String() string { return w.Source + ": " + w.Text }

// Refuse returns an *Error that blames a key for a value that the process cannot work with.
func (c *Config) Refuse(key, reason string) error {
	return &Error{Faults: []Fault{{Source: originOf(c.origins, key).String(), Key: key, Reason: reason}}}
}

// Sets reports whether somebody set the key, or what it belongs to, so that its value is not the default.
func (c *Config) Sets(key string) bool {
	source := originOf(c.origins, key).name
	return source != "" && source != defaultSource
}

// report gathers faults. A key is blamed once: what follows from its first fault would only confuse.
type report struct {
	faults   []Fault
	blamed   map[string]bool
	warnings []Warning
	old      []*oldUse // in the order of the sources
}

func (r *report) warn(source, text string) {
	r.warnings = append(r.warnings, Warning{Source: source, Text: text})
}

func (r *report) add(f Fault) {
	if r.blamed[f.Key] {
		return
	}
	if f.Key != "" {
		if r.blamed == nil {
			r.blamed = make(map[string]bool)
		}
		r.blamed[f.Key] = true
	}
	r.faults = append(r.faults, f)
}

// unreadable reports a file by what went wrong, which need not repeat the path.
func (r *report) unreadable(path string, err error) {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathError.Err
	}
	r.add(Fault{Source: path, Reason: "cannot be read: " + err.Error()})
}

// err is nil without faults.
func (r *report) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	return &Error{Faults: r.faults}
}

// maxShown is how many characters of an offending name or value are worth reading.
const maxShown = 100

// quote makes a value fit to be shown. A URL may hold a secret in its user, query or fragment.
func quote(value string) string {
	if strings.ContainsAny(value, ":/") && strings.ContainsAny(value, "@?#") {
		return mask
	}
	return fmt.Sprintf("%.*q", maxShown, value)
}

// plain makes the name of a variable or a flag fit to be shown.
func plain(name string) string {
	quoted := fmt.Sprintf("%.*q", maxShown, name)
	return quoted[1 : len(quoted)-1]
}

// plainKey makes a key of a file fit to be shown. What cannot be a key is hidden: YAML reads {token:s3cret}, without a
// space behind the colon, as one long key.
func plainKey(name string) string {
	if token.MatchString(name) {
		return plain(name)
	}
	return mask
}

// origin is the place where a key was set.
type origin struct {
	name string // a file, variable or flag
	line int    // in a file; 0 elsewhere
}

// String returns file:line, or the name alone.
func (o origin) String() string {
	if o.line == 0 {
		return o.name
	}
	return o.name + ":" + strconv.Itoa(o.line)
}

// originOf returns the place where a key was set or, if nobody set it, where the section around it was.
func originOf(origins map[string]origin, key string) origin {
	for key != "" {
		if from, known := origins[key]; known {
			return from
		}
		key = key[:max(strings.LastIndexByte(key, '.'), 0)]
	}
	return origin{}
}
