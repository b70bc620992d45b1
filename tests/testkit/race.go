//go:build race

package testkit

// raceDetector reports whether the tests run with the race detector; then so does the program.
const raceDetector = true
