package configs

import (
	"reflect"
	"regexp"
	"strings"
	"time"
)

// schema knows every key there is. It is read off the structs, so that a key is added in one place.
var schema = schemaOf(reflect.TypeFor[Config](), "")

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[ByteSize]()
	secretType   = reflect.TypeFor[Secret]()
	digestType   = reflect.TypeFor[Digest]()
)

// spec describes a place in the configuration: a section (fixed keys), a dict (any name, one kind of value), a list or
// a single value.
type spec struct {
	kind   kind
	typ    reflect.Type
	fields []field  // of a section, in the order of the struct
	elem   *spec    // of a dict or a list
	names  nameRule // of a dict
}

type field struct {
	name  string
	index []int // in the struct, for reflect
	spec  *spec
}

type kind int

const (
	kindValue kind = iota
	kindList
	kindDict
	kindSection
)

// nameRule says which names a dict accepts.
type nameRule struct {
	pattern *regexp.Regexp
	allowed string
}

// token matches names of header fields and methods (RFC 9110 section 5.6.2).
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// nameRules are what the struct tag "keys" refers to.
var nameRules = map[string]nameRule{
	"endpoint": {
		pattern: regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`),
		allowed: "the name of an endpoint has 1 to 64 of the characters A-Z a-z 0-9 . _ -",
	},
	"header": {pattern: token, allowed: "not a valid header name (RFC 9110 section 5.6.2)"},
}

// schemaOf describes a type. Fields without a koanf tag are no keys.
func schemaOf(t reflect.Type, names string) *spec {
	s := &spec{typ: t}
	switch {
	case t == secretType:
		s.kind = kindValue
	case t.Kind() == reflect.Struct:
		s.kind = kindSection
		for _, f := range reflect.VisibleFields(t) { // with the fields of what is embedded, in its place
			if name, isKey := f.Tag.Lookup("koanf"); isKey && !f.Anonymous {
				s.fields = append(s.fields, field{name, f.Index, schemaOf(f.Type, f.Tag.Get("keys"))})
			}
		}
	case t.Kind() == reflect.Map:
		s.kind, s.elem, s.names = kindDict, schemaOf(t.Elem(), ""), nameRules[names]
	case t.Kind() == reflect.Slice:
		s.kind, s.elem = kindList, schemaOf(t.Elem(), "")
	}
	return s
}

func (s *spec) secret() bool { return s.typ == secretType }

// show makes a value fit for faults.
func (s *spec) show(text string) string {
	if s.secret() || s.typ == digestType {
		return mask
	}
	return quote(text)
}

// field returns what a section has under a name, or nil.
func (s *spec) field(name string) *spec {
	for _, f := range s.fields {
		if f.name == name {
			return f.spec
		}
	}
	return nil
}

// fieldNames lists the keys of a section for people.
func (s *spec) fieldNames() string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// byFlag finds the key of a flag: its path with dots between the parts, which no endpoint with a dot in its name has.
func (s *spec) byFlag(key string) ([]string, *spec) {
	path := strings.Split(key, ".")
	for _, name := range path {
		switch {
		case s == nil:
			return nil, nil
		case s.kind == kindDict && s.names.pattern.MatchString(name):
			s = s.elem
		default:
			s = s.field(name)
		}
	}
	if s == nil || s.kind == kindSection {
		return nil, nil
	}
	return path, s
}

// byVariable finds the key that a variable's name, without its prefix, stands for: the parts in capitals with "_" or
// "__" between them. The name of an endpoint, which may hold "_" itself, needs "__" on both sides; it is lower-cased.
func (s *spec) byVariable(name string) ([]string, *spec) {
	for _, f := range s.fields {
		rest, matches := strings.CutPrefix(name, strings.ToUpper(f.name))
		switch {
		case !matches:
		case rest != "":
			if path, found := f.spec.below(rest); found != nil {
				return append([]string{f.name}, path...), found
			}
		case f.spec.kind != kindSection:
			return []string{f.name}, f.spec
		}
	}
	return nil, nil
}

// below goes on with what follows the name of a section or a dict. A dict of plain values (headers) is set as a whole:
// variables cannot spell its names.
func (s *spec) below(rest string) ([]string, *spec) {
	switch {
	case s.kind == kindSection && rest[0] == '_':
		return s.byVariable(strings.TrimPrefix(rest[1:], "_"))
	case s.kind == kindDict && strings.HasPrefix(rest, "__"):
		name, rest, _ := strings.Cut(rest[2:], "__")
		name = strings.ToLower(name)
		if path, found := s.elem.byVariable(rest); found != nil && s.names.pattern.MatchString(name) {
			return append([]string{name}, path...), found
		}
	}
	return nil, nil
}
