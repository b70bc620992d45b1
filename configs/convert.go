package configs

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	errCharacters = errors.New("must be UTF-8 text without control characters")
	errInteger    = errors.New("must be a whole number")
	errNumber     = errors.New("must be a number")
	errBool       = errors.New("must be true or false")
)

// convert reads text as a value for a field of type t. It returns plain types only, which koanf can copy: a secret
// stays text until it is decoded. The error says what is allowed, and does not repeat the text.
func convert(text string, t reflect.Type) (any, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return nil, errCharacters
	}
	switch {
	case t == durationType:
		return parseDuration(text)
	case t == sizeType:
		return parseByteSize(text)
	case t == digestType:
		return text, parseDigest(text)
	case t.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return nil, errBool
		}
		return text == "true", nil
	case t.Kind() == reflect.Int:
		n, ok := parseWhole(text)
		if !ok || n > math.MaxInt || n < math.MinInt {
			return nil, errInteger
		}
		return int(n), nil
	case t.Kind() == reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, errNumber
		}
		return x, nil
	default:
		return text, nil
	}
}

// largestFloat is the largest number up to which a float64 tells all whole numbers apart.
const largestFloat = 1 << 53

// parseWhole reads a whole number in any decimal notation. What passes through JSON or Helm comes out as 1.048576e+07.
func parseWhole(text string) (n int64, ok bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "0123456789+-.eE") != "" || x != math.Trunc(x) || math.Abs(x) > largestFloat {
		return 0, false
	}
	return int64(x), true
}
