package testkit

import (
	"net/http"
	"time"
)

// Reply answers a call of a backend. Replies are put together: Hold(release, Respond(...)).
type Reply func(w http.ResponseWriter, r *http.Request, call *Call)

// Echo answers 200 with the body and the Content-Type that it was sent.
func Echo() Reply {
	return func(w http.ResponseWriter, _ *http.Request, call *Call) {
		w.Header().Set("Content-Type", call.Header.Get("Content-Type"))
		write(w, http.StatusOK, call.Body)
	}
}

// Respond answers always the same.
func Respond(code int, contentType, body string) Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ *Call) {
		w.Header().Set("Content-Type", contentType)
		write(w, code, []byte(body))
	}
}

// Refuse answers with a status, and a JSON body that names it.
func Refuse(code int) Reply { return Respond(code, "application/json", `{"refused": true}`) }

// With sets a header field of the answer.
func With(name, value string, reply Reply) Reply {
	return func(w http.ResponseWriter, r *http.Request, call *Call) {
		w.Header().Set(name, value)
		reply(w, r, call)
	}
}

// InTurn answers the n-th call of each request with the n-th reply, and all after it with the last.
func InTurn(replies ...Reply) Reply {
	return func(w http.ResponseWriter, r *http.Request, call *Call) {
		replies[min(call.Nth, len(replies))-1](w, r, call)
	}
}

// Hold answers when release is closed. A caller that leaves before gets nothing.
func Hold(release <-chan struct{}, reply Reply) Reply {
	return func(w http.ResponseWriter, r *http.Request, call *Call) {
		select {
		case <-release:
			reply(w, r, call)
		case <-r.Context().Done():
		}
	}
}

// Delay answers later.
func Delay(by time.Duration, reply Reply) Reply {
	return func(w http.ResponseWriter, r *http.Request, call *Call) {
		timer := time.NewTimer(by)
		defer timer.Stop()
		select {
		case <-timer.C:
			reply(w, r, call)
		case <-r.Context().Done():
		}
	}
}

// Cut closes the connection without an answer.
func Cut() Reply {
	return func(http.ResponseWriter, *http.Request, *Call) { panic(http.ErrAbortHandler) }
}

func write(w http.ResponseWriter, code int, body []byte) {
	w.WriteHeader(code)
	_, _ = w.Write(body) // a caller that has left does not want it
}
