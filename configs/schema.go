package configs

import (
	"reflect"
	"regexp"
	"slices"
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

	old map[string][]string // of a section: paths of what had another name
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
		if t == reflect.TypeFor[Endpoint]() {
			s.old = oldFields
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

// reading is a key that the name of a variable may stand for.
type reading struct {
	path []string
	spec *spec
	name int // which part of path is the name of an endpoint, counted from 1; 0: none is
	old  bool
}

// endpoint returns the name of the endpoint.
func (r *reading) endpoint() string { return r.path[r.name-1] }

// of returns the reading for another endpoint.
func (r *reading) of(endpoint string) reading {
	path := slices.Clone(r.path)
	path[r.name-1] = endpoint
	return reading{path, r.spec, r.name, r.old}
}

// byVariable finds the keys that a variable's name, without its prefix, may stand for: the parts in capitals with "_"
// or "__" between them. There is more than one where it has the name of an endpoint, which may hold "_" itself; the one
// with the shortest name is first. Such a name is lower-cased.
func (s *spec) byVariable(name string) []reading {
	var all []reading
	for _, f := range s.fields {
		rest, matches := strings.CutPrefix(name, strings.ToUpper(f.name))
		switch {
		case !matches:
		case rest != "":
			all = append(all, under(f.name, f.spec.below(rest))...)
		case f.spec.kind != kindSection:
			all = append(all, reading{path: []string{f.name}, spec: f.spec})
		}
	}
	if len(all) > 0 {
		return all
	}
	for old, path := range s.old {
		if name == strings.ToUpper(old) {
			return []reading{{path: path, spec: s.field(path[0]).field(path[1]), old: true}}
		}
	}
	return nil
}

// under puts a part in front of the paths.
func under(part string, readings []reading) []reading {
	for i, r := range readings {
		readings[i].path = append([]string{part}, r.path...)
		if r.name > 0 {
			readings[i].name++
		}
	}
	return readings
}

// below goes on with what follows the name of a section or a dict. A dict of plain values (headers) is set as a whole:
// variables cannot spell its names.
func (s *spec) below(rest string) []reading {
	after, separated := strings.CutPrefix(rest, "_")
	if !separated {
		return nil
	}
	after = strings.TrimPrefix(after, "_")
	switch s.kind {
	case kindSection:
		return s.byVariable(after)
	case kindDict:
		if name, key, found := strings.Cut(after, "__"); found && strings.HasPrefix(rest, "__") {
			if exact := s.named(name, key); exact != nil {
				return exact
			}
		}
		return s.anyNamed(after)
	default:
		return nil
	}
}

// anyNamed splits at each "_" between a name and a key.
func (s *spec) anyNamed(text string) []reading {
	var all []reading
	for i := 1; i < len(text) && !strings.Contains(text[:i], "__"); i++ {
		if text[i] == '_' && text[i-1] != '_' {
			all = append(all, s.named(text[:i], strings.TrimPrefix(text[i+1:], "_"))...)
		}
	}
	return all
}

func (s *spec) named(name, key string) []reading {
	name = strings.ToLower(name)
	if !s.names.pattern.MatchString(name) {
		return nil
	}
	readings := under(name, s.elem.byVariable(key))
	for i := range readings {
		readings[i].name = 1
	}
	return readings
}
