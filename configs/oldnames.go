package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// oldName is a variable of manifests that were written for the first OpenHQM, a program in Python. A variable that sets
// several keys has a row for each. Of two variables that set one key the later in the alphabet wins.
type oldName struct {
	variable string // without OPENHQM_
	key      string // as today; empty: it means nothing any more
	queue    string // the queue.type that it is for; empty: all
	store    string // the store.type that it is for; empty: all

	// convert returns what today's key has instead of the text, and false if this variable does not set the key; nil: the
	// text itself.
	convert func(text string) (string, bool)
}

// oldNames are those of no single queue. Others are in queueTypes.
var oldNames = []oldName{
	{variable: "CACHE__REDIS_URL", key: "redis.url", store: storeRedis},
	{variable: "QUEUE__REDIS_URL", key: "redis.url", store: storeRedis},
	{variable: "QUEUE__REQUEST_QUEUE_NAME", key: "queue.requests"},
	{variable: "QUEUE__RESPONSE_QUEUE_NAME", key: "queue.responses"},
	{variable: "QUEUE__DLQ_NAME", key: "queue.dead_letters"},
	{variable: "CACHE__TTL_SECONDS", key: "store.ttl", convert: seconds},
	{variable: "WORKER__TIMEOUT_SECONDS", key: "worker.timeout", convert: seconds},
	{variable: "WORKER__MAX_RETRIES", key: "retry.max_attempts", convert: attempts},
	{variable: "WORKER__RETRY_DELAY_BASE", key: "retry.base", convert: seconds},
	{variable: "WORKER__RETRY_DELAY_MAX", key: "retry.max", convert: seconds},
	{variable: "MONITORING__LOG_LEVEL", key: "log.level", convert: level},
	{variable: "MONITORING__LOG_FORMAT", key: "log.format"},
	{variable: "PROXY__BACKEND_URL", key: "proxy.endpoints.default.url", convert: onlyURL},
	{variable: "PROXY__BACKEND_URL", key: "proxy.default_endpoint", convert: nameOfURL},
	{variable: "PROXY__DEFAULT_ENDPOINT", key: "proxy.endpoints.default.url", convert: onlyURL},
	{variable: "PROXY__DEFAULT_ENDPOINT", key: "proxy.default_endpoint", convert: nameOfURL},
	{variable: "PROXY__ENABLED"},
	{variable: "WORKER__BATCH_SIZE"},
	{variable: "CACHE__TYPE"},
	{variable: "CACHE__MAX_CONNECTIONS"},
	{variable: "MONITORING__METRICS_ENABLED"},
	{variable: "SERVER__WORKERS"},
	{variable: "SERVER__RELOAD"},
}

// allOldNames returns the whole table.
func allOldNames() []oldName {
	all := slices.Clone(oldNames)
	for _, q := range queueTypes {
		for _, row := range q.old {
			row.queue = q.name
			all = append(all, row)
		}
	}
	return all
}

// oldSection begins the variables of a section that means nothing any more.
const oldSection = "PARTITIONING__"

// oldFields are the fields of an endpoint that had another name, with the path of today's.
var oldFields = map[string][]string{
	"auth_type":        {"auth", "type"},
	"auth_token":       {"auth", "token"},
	"auth_username":    {"auth", "username"},
	"auth_password":    {"auth", "password"},
	"auth_header_name": {"auth", "header"},
}

// oldRows returns the rows of a variable without its prefix, and what they make of its text; nil: it is of today.
func oldRows(variable, text string) (rows []oldName, texts []string) {
	if strings.HasPrefix(variable, oldSection) {
		return []oldName{{variable: variable}}, []string{""}
	}
	for _, row := range allOldNames() {
		if row.variable != variable {
			continue
		}
		converted, sets := text, true
		if row.convert != nil {
			converted, sets = row.convert(text)
		}
		if sets {
			rows, texts = append(rows, row), append(texts, converted)
		}
	}
	return rows, texts
}

// oldUse is a place where an old name stands.
type oldUse struct {
	source   string // for the warning
	inFile   bool
	keys     []string // of today; none: it means nothing any more
	row      oldName  // of a variable, the first one
	settings []setting
	shown    map[string]string // by key, what convert made of the text
}

// seconds adds the unit that numbers had not.
func seconds(text string) (string, bool) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return text + "s", true
	}
	return text, true
}

// attempts counts the first attempt, too.
func attempts(text string) (string, bool) {
	if n, ok := parseWhole(text); ok && n < maxAttempts {
		return strconv.FormatInt(n+1, 10), true
	}
	return text, true
}

// level knows the levels of Python.
func level(text string) (string, bool) {
	switch lower := strings.ToLower(text); lower {
	case "warning":
		return LevelWarn, true
	case "critical":
		return LevelError, true
	default:
		return lower, true
	}
}

// onlyURL leaves names of endpoints to today's key.
func onlyURL(text string) (string, bool) {
	return text, strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// nameOfURL names the endpoint that had only a URL.
func nameOfURL(text string) (string, bool) {
	_, isURL := onlyURL(text)
	return "default", isURL
}

// addOld lays what old names set over the defaults. What anybody has set by its name of today wins, and so does the
// later of two old names. Each use is warned of.
func (l *loader) addOld() {
	uses := l.report.old
	winners := map[string]*oldUse{}
	for _, use := range uses {
		if l.meant(use) {
			for _, key := range use.keys {
				winners[key] = use
			}
		}
	}
	today := map[string]string{}
	for key := range winners {
		if from, set := l.origins[key]; set && from.name != defaultSource {
			today[key] = from.String()
		}
	}
	for _, use := range uses {
		var layer []setting
		for _, s := range use.settings {
			if winners[s.key()] == use && today[s.key()] == "" {
				layer = append(layer, s)
			}
		}
		l.add(layer)
		l.report.warn(use.source, l.oldText(use, winners, today))
	}
}

// meant reports whether what an old name sets has an effect with the queue.
func (l *loader) meant(use *oldUse) bool {
	i := slices.IndexFunc(queueTypes, func(q queueType) bool { return q.name == l.queueType() })
	if i < 0 {
		return true // that type is a fault of its own
	}
	return (use.row.queue == "" || use.row.queue == queueTypes[i].name) &&
		(use.row.store == "" || use.row.store == queueTypes[i].store)
}

func (l *loader) queueType() string {
	text, _ := l.settings["queue.type"].value.(string)
	return text
}

// oldText says what became of an old name. It shows no secrets.
func (l *loader) oldText(use *oldUse, winners map[string]*oldUse, today map[string]string) string {
	switch {
	case len(use.keys) == 0:
		return "is an old name that means nothing any more; it is ignored"
	case !l.meant(use):
		return fmt.Sprintf("is an old name of %s, which has no effect with queue.type %q; "+
			"set queue.type to use another queue", strings.Join(use.keys, " and "), l.queueType())
	}
	var write []string
	for _, key := range use.keys {
		name := key
		if !use.inFile {
			name = variableOf(strings.Split(key, "."))
		}
		if use.shown[key] != "" {
			name += "=" + use.shown[key]
		}
		switch {
		case today[key] != "":
			name += " (which " + today[key] + " sets; that counts)"
		case winners[key] != use:
			name += " (which " + winners[key].source + " sets, too; that counts)"
		}
		write = append(write, name)
	}
	return "is an old name; the new one is " + strings.Join(write, " and ")
}

// variableOf returns the variable that sets a key.
func variableOf(path []string) string {
	between := "_"
	if len(path) > 2 && path[0] == "proxy" && path[1] == "endpoints" {
		between = "__"
	}
	return variablePrefix + strings.ToUpper(strings.Join(path, between))
}
