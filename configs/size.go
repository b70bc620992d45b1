package configs

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// ByteSize is a number of bytes, written as "10MiB", "1048576B" or 1048576.
type ByteSize int64

// The units of sizes.
const (
	kib ByteSize = 1024
	mib          = 1024 * kib
	gib          = 1024 * mib
	tib          = 1024 * gib
)

// sizeUnits goes from the largest to the smallest; "B" is a suffix of all others and must come last.
var sizeUnits = []struct {
	name string
	size ByteSize
}{{"TiB", tib}, {"GiB", gib}, {"MiB", mib}, {"KiB", kib}, {"B", 1}}

// errSize says how a size is written. Decimal units are left out on purpose: half of the world reads MB as MiB.
var errSize = errors.New("must be a size: a whole number with B, KiB, MiB, GiB or TiB, for instance 10MiB")

// parseByteSize reads a size. Its error says what is allowed, and does not repeat the text.
func parseByteSize(text string) (ByteSize, error) {
	digits, unit := text, ByteSize(1)
	for _, u := range sizeUnits {
		if before, found := strings.CutSuffix(text, u.name); found {
			digits, unit = before, u.size
			break
		}
	}
	n, ok := parseWhole(digits)
	if !ok || digits[0] == '+' || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, errSize
	}
	return ByteSize(n) * unit, nil
}

// String writes the size in the largest unit that divides it; parseByteSize reads it back.
func (s ByteSize) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return "0B"
}

var (
	errDuration     = errors.New("must be a duration, for instance 500ms, 60s, 72h or 7d")
	errDurationUnit = errors.New("a duration needs a unit, for instance 60s")
)

// day is what "d" stands for in a duration.
const day = 24 * time.Hour

// maxDays is more than any duration may have, and does not overflow.
const maxDays = 100_000

// parseDuration reads what time.ParseDuration reads, also with days in front ("7d", "1d12h"). It refuses a bare number,
// even 0: nobody should have to guess whether it counts seconds or milliseconds.
func parseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, errDurationUnit
	}
	days, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	number, err := strconv.ParseFloat(days, 64)
	if err != nil || strings.Trim(days, "0123456789.") != "" || number > maxDays {
		return 0, errDuration
	}
	d := time.Duration(number * float64(day))
	if rest == "" {
		return d, nil
	}
	below, err := time.ParseDuration(rest)
	if err != nil || strings.ContainsAny(rest, "+-") || below > math.MaxInt64-d {
		return 0, errDuration
	}
	return d + below, nil
}

// formatDuration writes 72h where time.Duration.String writes 72h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
