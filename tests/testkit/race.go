//go:build race

package testkit

// raceDetector tells whether the tests run with the race detector; then so does the program.
const raceDetector = true
