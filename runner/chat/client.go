package chat

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The defaults of Options.
const (
	DefaultTimeout        = 10 * time.Minute
	DefaultConnectTimeout = 10 * time.Second
	DefaultIdleTimeout    = 60 * time.Second
	DefaultMaxResponse    = 64 << 20
	DefaultMaxConns       = 100
)

// Options say how a Client reaches its API. Zero values mean the defaults.
type Options struct {
	BaseURL string      // as in https://api.assisters.dev/v1; /chat/completions is appended
	APIKey  string      // sent as a bearer token; none is sent without one
	Header  http.Header // further headers of every request; they win over the client's own
	Secrets []string    // what else, beside APIKey, is redacted when a server echoes it

	// Timeout bounds the wait from the call to the first byte of the answer's body; after that, the time without
	// progress: for a stream since its last word, for any other body in all.
	Timeout        time.Duration
	ConnectTimeout time.Duration // of the TCP connection, and once more of the TLS handshake
	IdleTimeout    time.Duration // from the first body byte on: any byte resets it

	MaxResponse  int64 // bytes of a response body after decompression
	MaxConns     int   // idle connections kept to the host: one for each worker
	IncludeUsage bool  // ask for the usage of streams that have no stream_options of their own
	UserAgent    string

	// DialContext replaces the network (nil: TCP). TLSConfig is cloned. Proxy replaces the one that the environment
	// names; a loopback host is never reached by a proxy.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	TLSConfig   *tls.Config
	Proxy       func(*http.Request) (*url.URL, error)
}

// Client calls one chat completions API. It is safe for concurrent use.
type Client struct {
	url       *url.URL
	header    http.Header // of every request; values are shared and never changed
	host      string      // of --header Host, "" for the URL's
	proxy     *url.URL
	opt       Options
	redact    *redactor
	answers   *redactor // of what an answer that is kept may not hold
	transport *http.Transport
	drains    sync.WaitGroup
}

// New makes a client; it opens no connection yet.
func New(opt Options) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(opt.BaseURL, "/") + "/chat/completions")
	if err != nil {
		return nil, errors.New("base URL: it cannot be parsed")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("base URL: it must begin with https:// or http:// and a host")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("base URL: it may not hold a user, a query or a fragment")
	}
	for _, d := range []time.Duration{opt.Timeout, opt.ConnectTimeout, opt.IdleTimeout} {
		if d < 0 {
			return nil, fmt.Errorf("a time limit of %v is negative", d)
		}
	}
	setDefault(&opt.Timeout, DefaultTimeout)
	setDefault(&opt.ConnectTimeout, DefaultConnectTimeout)
	setDefault(&opt.IdleTimeout, DefaultIdleTimeout)
	setDefault(&opt.MaxResponse, DefaultMaxResponse)
	setDefault(&opt.MaxConns, DefaultMaxConns)
	setDefault(&opt.UserAgent, "batch")

	secrets := append([]string{opt.APIKey}, opt.Secrets...)
	c := &Client{url: u, opt: opt, redact: newRedactor(secrets...), answers: newRedactor(longSecrets(secrets)...)}
	c.header = http.Header{
		"Content-Type": {"application/json"},
		"Accept":       {"application/json"},
		"User-Agent":   {opt.UserAgent},
	}
	if opt.APIKey != "" {
		c.header["Authorization"] = []string{"Bearer " + opt.APIKey}
	}
	for name, values := range opt.Header {
		if name = http.CanonicalHeaderKey(name); name == "Host" && len(values) > 0 {
			c.host = values[0]
			continue
		}
		c.header[name] = values
	}
	if c.proxy, err = c.chooseProxy(); err != nil {
		return nil, err
	}
	c.transport = c.newTransport()
	return c, nil
}

func setDefault[T comparable](value *T, to T) {
	var zero T
	if *value == zero {
		*value = to
	}
}

// chooseProxy asks once: the endpoint is the same for every call.
func (c *Client) chooseProxy() (*url.URL, error) {
	if IsLoopback(c.url.Hostname()) {
		return nil, nil
	}
	choose := c.opt.Proxy
	if choose == nil {
		choose = http.ProxyFromEnvironment
	}
	proxy, err := choose(&http.Request{URL: c.url})
	if err != nil {
		return nil, errors.New("proxy: the address that the environment names cannot be used") // its text may hold a password
	}
	return proxy, nil
}

// Proxy is the host of the proxy in use, "" for none.
func (c *Client) Proxy() string {
	if c.proxy == nil {
		return ""
	}
	return c.proxy.Host
}

func (c *Client) newTransport() *http.Transport {
	t := &http.Transport{
		DialContext:            c.dial,
		TLSHandshakeTimeout:    c.opt.ConnectTimeout,
		MaxIdleConnsPerHost:    c.opt.MaxConns, // Go's default of 2 would open a new connection for nearly every call
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		ForceAttemptHTTP2:      true,
		// A connection that died in silence is found by a ping; HTTP/2 in Go has no such check by default.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
	if c.proxy != nil {
		t.Proxy = http.ProxyURL(c.proxy)
	}
	if c.opt.TLSConfig != nil {
		t.TLSClientConfig = c.opt.TLSConfig.Clone()
	}
	return t
}

func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.ConnectTimeout)
	defer cancel()
	dial := c.opt.DialContext
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countingConn{Conn: conn}, nil
}

// Close ends the idle connections, and waits for what a finished stream left open (a second at most).
func (c *Client) Close() {
	c.drains.Wait()
	c.transport.CloseIdleConnections()
}
