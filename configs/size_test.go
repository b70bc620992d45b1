package configs

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSizesAreReadAndWritten(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give string
		want ByteSize
		text string
	}{
		{give: "0", want: 0, text: "0B"},
		{give: "1000", want: 1000, text: "1000B"},
		{give: "1048576B", want: mib, text: "1MiB"},
		{give: "256KiB", want: 256 * kib, text: "256KiB"},
		{give: "10MiB", want: 10 * mib, text: "10MiB"},
		{give: "1536MiB", want: 1536 * mib, text: "1536MiB"},
		{give: "2GiB", want: 2 * gib, text: "2GiB"},
		{give: "3TiB", want: 3 * tib, text: "3TiB"},
		{give: "1.048576e+07", want: 10 * mib, text: "10MiB"},
		{give: "10.0MiB", want: 10 * mib, text: "10MiB"},
		{give: "9223372036854775807", want: 1<<63 - 1, text: "9223372036854775807B"},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			got, err := parseByteSize(test.give)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.Equal(t, test.text, got.String())
		})
	}
}

func TestInvalidSizesAreRefused(t *testing.T) {
	t.Parallel()
	for _, give := range []string{
		"", "MiB", "-1", "+1", "1.5MiB", "10 MiB", "10MB", "10mib", "10K", "0x10", "1_000", "9223372036854775808",
		"8388608TiB",
	} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			_, err := parseByteSize(give)
			require.ErrorIs(t, err, errSize)
		})
	}
}

func TestDurationsNeedAUnit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give string
		want error
	}{
		{give: "60", want: errDurationUnit},
		{give: "0", want: errDurationUnit},
		{give: "-1.5", want: errDurationUnit},
		{give: "1e9", want: errDurationUnit},
		{give: "", want: errDuration},
		{give: "d", want: errDuration},
		{give: "-7d", want: errDuration},
		{give: "7d-1h", want: errDuration},
		{give: "7d1", want: errDuration},
		{give: "1e9d", want: errDuration},
		{give: "999999d", want: errDuration},
		{give: "100000d9999999h", want: errDuration},
		{give: "12h7d", want: errDuration},
		{give: "60 s", want: errDuration},
		{give: "9999999999h", want: errDuration},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			_, err := parseDuration(test.give)
			require.ErrorIs(t, err, test.want)
		})
	}
}

func TestDurationsAreWrittenInTheirShortForm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give time.Duration
		want string
	}{
		{give: 0, want: "0s"},
		{give: 1500 * time.Millisecond, want: "1.5s"},
		{give: 10 * time.Second, want: "10s"},
		{give: 5 * time.Minute, want: "5m"},
		{give: 90 * time.Second, want: "1m30s"},
		{give: 10 * time.Hour, want: "10h"},
		{give: 72*time.Hour + 30*time.Minute, want: "72h30m"},
		{give: time.Hour + 10*time.Second, want: "1h0m10s"},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			text := formatDuration(test.give)
			require.Equal(t, test.want, text)
			back, err := parseDuration(text)
			require.NoError(t, err)
			require.Equal(t, test.give, back)
		})
	}
}

func TestDaysAreDurations(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]time.Duration{
		"7d": 168 * time.Hour, "0d": 0, "1.5d": 36 * time.Hour, "1d12h": 36 * time.Hour,
		"2d0.5s": 48*time.Hour + time.Second/2,
	} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			got, err := parseDuration(give)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestWholeNumbersMayHaveAnyDecimalNotation(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]int{
		"7": 7, "-7": -7, "64.0": 64, "1e+06": 1_000_000, "1.048576e+07": 10_485_760, "1E3": 1000,
		"9007199254740993": 9007199254740993,
	} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			got, err := convert(give, reflect.TypeFor[int]())
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	for _, give := range []string{"", "1.5", "1e-1", "0x10", "0x1p4", "1_000", "inf", "nan", "1e19", "1e300", "1,000"} {
		t.Run(give, func(t *testing.T) {
			t.Parallel()
			_, err := convert(give, reflect.TypeFor[int]())
			require.ErrorIs(t, err, errInteger)
		})
	}
}
