package script

import (
	"slices"
	"strconv"
)

// Answer is what a script returned: a word that says what became of the call, and then names and values in turn. A
// value that is not there reads as zero.
type Answer []any

// Word returns what became of the call.
func (a Answer) Word() string { return text(a, 0) }

// Text returns the value of that name as a string.
func (a Answer) Text(name string) string { return asText(a.value(name)) }

// Number returns the value of that name, an integer or one in decimal.
func (a Answer) Number(name string) int64 { return asNumber(a.value(name)) }

// Flag reports whether the value of that name is 1.
func (a Answer) Flag(name string) bool { return a.Number(name) == 1 }

// List returns the value of that name as a list.
func (a Answer) List(name string) []any { return asList(a.value(name)) }

// Texts returns the value of that name as a list of strings.
func (a Answer) Texts(name string) []string { return asTexts(a.value(name)) }

// Rows returns the value of that name as a table. The script returns the names of its columns once, and then the rows.
func (a Answer) Rows(name string) []Row {
	table := a.List(name)
	if len(table) < 2 {
		return nil
	}
	columns := asTexts(table[0])
	lines := asList(table[1])
	rows := make([]Row, len(lines))
	for i := range lines {
		rows[i] = Row{columns, asList(lines[i])}
	}
	return rows
}

func (a Answer) value(name string) any {
	for i := 1; i+1 < len(a); i += 2 {
		if a[i] == any(name) {
			return a[i+1]
		}
	}
	return nil
}

// Row is a list of values, such as those of a hash, with their names. A value that is not there reads as zero.
type Row struct {
	Names  []string
	Values []any
}

// Exists reports whether the row has the value of that name.
func (r Row) Exists(name string) bool { return r.value(name) != nil }

// Text returns the value of that name as a string.
func (r Row) Text(name string) string { return asText(r.value(name)) }

// Bytes returns the value of that name as bytes.
func (r Row) Bytes(name string) []byte { return []byte(r.Text(name)) }

// Number returns the value of that name, an integer or one in decimal.
func (r Row) Number(name string) int64 { return asNumber(r.value(name)) }

// List returns the value of that name as a list.
func (r Row) List(name string) []any { return asList(r.value(name)) }

// Texts returns the value of that name as a list of strings.
func (r Row) Texts(name string) []string { return asTexts(r.value(name)) }

// value panics when no value can have that name: that is a mistake in this program.
func (r Row) value(name string) any {
	i := slices.Index(r.Names, name)
	if i < 0 {
		panic("no value is named " + name)
	}
	if i >= len(r.Values) {
		return nil
	}
	return r.Values[i]
}

func text(values []any, i int) string {
	if i >= len(values) {
		return ""
	}
	return asText(values[i])
}

func asText(value any) string {
	v, _ := value.(string)
	return v
}

func asTexts(value any) []string {
	items := asList(value)
	texts := make([]string, len(items))
	for i := range items {
		texts[i] = asText(items[i])
	}
	return texts
}

func asList(value any) []any {
	v, _ := value.([]any)
	return v
}

func asNumber(value any) int64 {
	if n, ok := value.(int64); ok {
		return n
	}
	n, _ := strconv.ParseInt(asText(value), 10, 64)
	return n
}
