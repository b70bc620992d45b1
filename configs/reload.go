package configs

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// reloadable are the keys that a running process changes on SIGHUP, each with everything below it. All others need a
// restart. The table in README.md lists the same.
var reloadable = []string{
	"log.level",
	"server.api_keys",
	"server.rate_limit",
	"worker.count",
	"worker.timeout",
	"retry",
	"proxy.default_endpoint",
	"proxy.endpoints",
}

// Reload compares the configuration of a running process with one that was loaded later. The effective configuration
// has what a running process can change from the next one, and everything else as it is. Changed are the keys that take
// effect, deferred those that need a restart. Both are sorted, and show no values.
func (c *Config) Reload(next Config) (effective Config, changed, deferred []string) {
	effective = next
	r := reloading{into: reflect.ValueOf(&effective).Elem()}
	r.section(reflect.ValueOf(*c), r.into, schema, "")
	slices.Sort(r.changed)
	slices.Sort(r.deferred)
	return effective, r.changed, r.deferred
}

type reloading struct {
	into              reflect.Value
	changed, deferred []string
}

// section compares the fields of a section.
func (r *reloading) section(before, after reflect.Value, s *spec, prefix string) {
	for _, f := range s.fields {
		r.value(before.FieldByIndex(f.index), after.FieldByIndex(f.index), f.spec, prefix+f.name)
	}
}

// value compares what a key has. What needs a restart is put back.
func (r *reloading) value(before, after reflect.Value, s *spec, key string) {
	switch {
	case s.kind == kindSection:
		r.section(before, after, s, key+".")
	case s.kind == kindDict:
		r.dict(before, after, s, key)
	case sameValue(before, after):
	case isReloadable(key):
		r.changed = append(r.changed, key)
	default:
		r.deferred = append(r.deferred, key)
		after.Set(before)
	}
}

// dict compares what two dicts have under each name. Every dict is reloadable, so nothing of it is put back.
func (r *reloading) dict(before, after reflect.Value, s *spec, key string) {
	names := make(map[string]struct{})
	for _, name := range slices.Concat(before.MapKeys(), after.MapKeys()) {
		names[name.String()] = struct{}{}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, current := before.MapIndex(reflect.ValueOf(name)), after.MapIndex(reflect.ValueOf(name))
		switch {
		case !old.IsValid():
			r.changed = append(r.changed, key+"."+name+" (added)")
		case !current.IsValid():
			r.changed = append(r.changed, key+"."+name+" (removed)")
		default:
			r.value(old, current, s.elem, key+"."+name)
		}
	}
}

// isReloadable reports whether a key, or what it belongs to, is reloadable.
func isReloadable(key string) bool {
	return slices.ContainsFunc(reloadable, func(above string) bool {
		return key == above || strings.HasPrefix(key, above+".")
	})
}

// sameValue compares values as they are used: of a secret that is the text after its variables were replaced.
func sameValue(a, b reflect.Value) bool {
	if a.Type() != secretType {
		return reflect.DeepEqual(a.Interface(), b.Interface()) || a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0
	}
	first, _ := reflect.TypeAssert[Secret](a)
	second, _ := reflect.TypeAssert[Secret](b)
	return first.sameAs(second)
}

// SameConnections reports whether an endpoint is reached in the same way, so that its connections can stay.
func (e *Endpoint) SameConnections(other Endpoint) bool {
	return e.URL == other.URL && e.TLS == other.TLS &&
		e.DialTimeout == other.DialTimeout && e.HeaderTimeout == other.HeaderTimeout
}

// sameAs reports whether two secrets stand for the same text or the same file. What the file holds may have changed.
func (s Secret) sameAs(other Secret) bool {
	mine, err := s.env.expand(s.reference)
	theirs, err2 := other.env.expand(other.reference)
	if err != nil || err2 != nil {
		return s.reference == other.reference && err != nil && err2 != nil
	}
	return mine == theirs && strings.HasPrefix(s.reference, filePrefix) == strings.HasPrefix(other.reference, filePrefix)
}
