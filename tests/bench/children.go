package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// child runs one of the other parts of this program.
func child(part string, args []string) error {
	switch part {
	case "backend":
		return serve(http.HandlerFunc(backend))
	case "gin":
		return serve(bareGin())
	case "post":
		return barePost(args)
	case "ceiling":
		return ceilingChild(args)
	default:
		return fmt.Errorf("no part %q", part)
	}
}

func serve(handler http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "{\"address\":%q}\n", listener.Addr())
	server := http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	return server.Serve(listener)
}

// answer is what the backend sends back: about as much as it gets.
var answer = []byte(`{"ok":true,"filler":"` + string(bytes.Repeat([]byte("x"), 256)) + `"}`)

// backend answers at once, or on /hang not before the client has left.
func backend(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path == "/hang" {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
}

// bareGin is the floor of a submit: decode the body, make an id, answer 202, keep nothing.
func bareGin() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.POST("/api/v1/submit", func(c *gin.Context) {
		var body struct {
			Payload  json.RawMessage `json:"payload"`
			Metadata map[string]any  `json:"metadata"`
		}
		if err := json.NewDecoder(c.Request.Body).Decode(&body); err != nil {
			c.AbortWithStatus(http.StatusBadRequest)
			return
		}
		id, _ := uuid.NewV7()
		c.JSON(http.StatusAccepted, gin.H{
			"correlation_id": id.String(), "status": "PENDING", "submitted_at": time.Now().UTC(),
		})
	})
	return e
}

// barePost is the floor of forwarding: POST the payload n times with so many goroutines.
func barePost(args []string) error {
	if len(args) != 3 {
		return errors.New("post URL N GOROUTINES")
	}
	n, err1 := strconv.ParseInt(args[1], 10, 64)
	workers, err2 := strconv.Atoi(args[2])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}, Timeout: time.Minute}
	fmt.Fprintln(os.Stderr, `{"address":"none"}`)
	var left atomic.Int64
	left.Store(n)
	var wait sync.WaitGroup
	failures := make(chan error, workers)
	for range workers {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				if err := postOnce(client, args[0]); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	wait.Wait()
	close(failures)
	return <-failures
}

func postOnce(client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.ReadAll(resp.Body)
	return errors.Join(err, resp.Body.Close())
}
