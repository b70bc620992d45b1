package httpbackend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/textproto"
	"syscall"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// failureOf translates an error of net or net/http, by type. Its text is for clients and operators: short, always the
// same, and without any part of the request. The address is for operators only.
func failureOf(ctx context.Context, address string, err error) *domain.Failure {
	failure := failed(ctx, err)
	failure.Address = address
	return failure
}

func failed(ctx context.Context, err error) *domain.Failure {
	var (
		tooLarge tooLargeError
		connect  *connectError
	)
	switch {
	case errors.As(err, &tooLarge):
		return &domain.Failure{Kind: domain.FailureTooLarge, Err: err}
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), ports.ErrInterrupted):
		return newFailure(domain.FailureInterrupted, "the call was cut off by this process")
	case ctx.Err() != nil:
		return newFailure(domain.FailureTimeout, "no complete response within the time of the attempt")
	case errors.As(err, &connect) && ourShortage(connect):
		return newFailure(domain.FailureShortage, "this process has no file descriptor or local port left; nothing was sent")
	case errors.Is(err, errRefused):
		return &domain.Failure{Kind: domain.FailureRefused, Err: errRefused}
	case errors.As(err, &connect):
		return newFailure(domain.FailureUnreachable, connectText(connect))
	case lateHeader(err):
		return newFailure(domain.FailureTimeout, "no response within header_timeout")
	default:
		return newFailure(domain.FailureBroken, brokenText(err))
	}
}

// ourShortage reports whether a connection could not be made for want of something of our own.
func ourShortage(err *connectError) bool {
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return true
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		// All local ports are in use. For an IPv6 address it is also how a machine without IPv6 fails: that is final.
		return errors.As(err, &op) && isIPv4(op.Addr)
	default:
		return err.starved
	}
}

func isIPv4(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.To4() != nil
}

func newFailure(kind domain.FailureKind, text string) *domain.Failure {
	return &domain.Failure{Kind: kind, Err: errors.New(text)}
}

// lateHeader reports whether the header timeout of net/http is over. Timeouts of the operating system, which mean that
// a connection is dead, do not count.
func lateHeader(err error) bool {
	var (
		limit net.Error
		op    *net.OpError
	)
	return errors.As(err, &limit) && limit.Timeout() && !errors.As(err, &op)
}

func connectText(err *connectError) string {
	var (
		dns      *net.DNSError
		verify   *tls.CertificateVerificationError
		noTLS    tls.RecordHeaderError
		netError net.Error
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &dns):
		return "the name lookup failed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to host"
	case errors.As(err, &verify):
		return certificateText(verify.Err)
	case errors.As(err, &noTLS):
		return "the backend does not speak TLS"
	case alertText(err) != "":
		return alertText(err)
	case errors.As(err, &netError) && netError.Timeout():
		return err.step + " timed out"
	default:
		return err.step + " failed"
	}
}

func certificateText(err error) string {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		return "the certificate is signed by an unknown authority"
	case errors.As(err, &host):
		return "the certificate is not for this host"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired or is not valid yet"
	default:
		return "the certificate is not valid"
	}
}

func brokenText(err error) string {
	var malformed textproto.ProtocolError
	switch {
	case errors.Is(err, errNotFinal), errors.Is(err, errSecondTry):
		return err.Error()
	case alertText(err) != "":
		return alertText(err)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the response was complete"
	case errors.As(err, &malformed):
		return "the response is malformed"
	default:
		return "the connection broke or the response is malformed"
	}
}

// alertText returns the TLS alert that the backend sent, if the error is one. With TLS 1.3 a backend refuses a client
// certificate only after the handshake. crypto/tls marks alerts of the peer by their operation.
func alertText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return "TLS alert from the backend: " + op.Err.Error()
	}
	return ""
}
