package chat

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
)

// failure is what happened to a call that got no whole response.
type failure struct {
	verdict
	message string
}

func (f failure) into(r *Result) {
	r.Class, r.Reason, r.Message = f.class, f.reason, f.message
}

// failed judges the error of a call to which no response began.
func (a *attempt) failed(err error, sent bool) failure {
	if a.parent.Err() != nil {
		return failure{verdict{Interrupted, ReasonNone}, "interrupted"}
	}
	timedOut := errors.Is(context.Cause(a.ctx), errTimedOut)
	switch {
	case timedOut && !sent:
		return failure{verdict{NotProcessed, Unreachable}, "no connection within " + a.client.opt.Timeout.String()}
	case timedOut:
		return failure{verdict{Unknown, TimedOut}, "no answer within " + a.client.opt.Timeout.String()}
	case !a.gotConn && badCertificate(err):
		return failure{verdict{RunStops, BadCertificate}, "TLS: " + strings.TrimPrefix(err.Error(), "tls: ")}
	case !a.gotConn && notTLS(err):
		return failure{verdict{RunStops, WrongEndpoint}, "the endpoint does not speak TLS: its base URL may begin with http:// in truth"}
	case !a.gotConn && noSuchHost(err):
		return failure{verdict{NotProcessed, NoSuchHost}, dialMessage(err)}
	case !a.gotConn:
		return failure{verdict{NotProcessed, Unreachable}, dialMessage(err)}
	case !sent:
		return failure{verdict{NotProcessed, ReasonNone}, "the connection was closed before the request was written"}
	case refusedStream(err):
		return failure{verdict{NotProcessed, ReasonNone}, "the server refused the HTTP/2 stream"}
	}
	return failure{verdict{Unknown, ReasonNone}, "no answer: " + netMessage(err)}
}

// broken judges the end of a response body that was not read whole.
func (a *attempt) broken(err error) failure {
	switch {
	case a.parent.Err() != nil:
		return failure{verdict{Interrupted, ReasonNone}, "interrupted while the answer was read"}
	case errors.Is(context.Cause(a.ctx), errTimedOut):
		return failure{verdict{Unknown, TimedOut}, "the answer stopped coming"}
	case err == errTooLong:
		return tooLong(a.client.opt.MaxResponse)
	}
	return failure{verdict{Unknown, ReasonNone}, "the answer was cut off: " + netMessage(err)}
}

func badCertificate(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return true
	}
	// The other side refused ours, or both have no TLS version or cipher in common: the same at every try.
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return permanentAlert(uint8(alert))
	}
	text := err.Error()
	return strings.Contains(text, "tls: server selected unsupported protocol version") ||
		strings.Contains(text, "tls: protocol version not supported") ||
		strings.Contains(text, "tls: handshake failure") ||
		strings.Contains(text, "tls: failed to parse certificate") ||
		strings.Contains(text, "tls: invalid signature by the server certificate") || // it shows the certificate of another
		strings.Contains(text, "tls: server sent certificate containing RSA key larger")
}

// notTLS recognises the answer of a server that took our handshake for a request.
func notTLS(err error) bool {
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

func permanentAlert(alert uint8) bool {
	switch alert {
	case 40, 42, 43, 44, 45, 46, 48, 49, 70, 71, 116: // RFC 8446, section 6.2
		return true
	}
	return false
}

// refusedStream recognises HTTP/2's two ways to say that a request was not worked on. The transport tells them only in
// the text of its error, as it would have repeated the request if it could.
func refusedStream(err error) bool {
	text := err.Error()
	return strings.Contains(text, "REFUSED_STREAM") || strings.Contains(text, "graceful shutdown GOAWAY")
}

// goneBefore recognises that an HTTP/2 connection took no more calls when the turn of one came that had chosen it. The transport wrote nothing
// of it, but closed its body, and so cannot take another connection. It gives up in these words in no other case, as it never repeats what has
// a body without GetBody.
func goneBefore(err error) bool {
	return strings.Contains(err.Error(), "cannot rewind body")
}

func noSuchHost(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

func dialMessage(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "cannot find " + dns.Name + ": " + dns.Err
	}
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		return "cannot connect: no reply in time"
	}
	return "cannot connect: " + err.Error()
}

func netMessage(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	case isTimeout(err):
		return "the connection timed out"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error() // without our port, which is another one each time
	}
	return err.Error()
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
