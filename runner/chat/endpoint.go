package chat

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// DefaultBaseURL is where the Assisters API is.
const DefaultBaseURL = "https://api.assisters.dev/v1"

const (
	baseURLVariable = "ASSISTERS_BASE_URL"
	keyVariable     = "ASSISTERS_API_KEY"
)

// EndpointOptions are what a command line says of its endpoint.
type EndpointOptions struct {
	BaseURL   string                   // of the flag
	Explicit  bool                     // the flag was given by the user of this command
	APIKeyEnv string                   // the variable that holds the key of this base URL, "" for none named
	AllowHTTP bool                     // plain http to a host that is not loopback
	Headers   []string                 // "Name: value"; the value env:NAME is taken from a variable
	NoKey     bool                     // nothing will be sent: only where calls would go is asked
	Getenv    func(name string) string // os.Getenv
}

// Endpoint is where calls go and what they carry.
type Endpoint struct {
	BaseURL   string // normalised, without a slash at its end
	Host      string // with its port, where it has one
	APIKey    string // "" for none
	Header    http.Header
	Secrets   []string // what of Header is redacted: values from the environment, and those of secret headers
	Exposed   []string // secret headers whose value was written out in the command, where every process list shows it
	Assisters bool     // it is the Assisters API itself
}

// EndpointError says why an endpoint is refused and what to do about it. It never holds a key.
type EndpointError struct {
	Problem string
	Hint    string // may be empty
}

func (e *EndpointError) Error() string { return e.Problem }

// Options are the options of a client for this endpoint; the limits are left to be filled in.
func (e Endpoint) Options() Options {
	return Options{BaseURL: e.BaseURL, APIKey: e.APIKey, Header: e.Header, Secrets: e.Secrets, IncludeUsage: !e.Assisters}
}

// ResolveEndpoint pairs a base URL with its key. A key never goes to a host that its owner did not pair it with: that of
// another provider needs its own variable, and a base URL that was not given for this command (one from a file, say)
// does not get the user's key. The error is an *EndpointError.
func ResolveEndpoint(opt EndpointOptions) (Endpoint, error) {
	base, explicit := opt.BaseURL, opt.Explicit && opt.BaseURL != ""
	if !explicit {
		if named := strings.TrimSpace(opt.Getenv(baseURLVariable)); named != "" {
			base, explicit = named, true
		} else if base == "" {
			base = DefaultBaseURL
		}
	}
	u, err := parseBaseURL(base, opt.AllowHTTP)
	if err != nil {
		return Endpoint{}, err
	}
	e := Endpoint{BaseURL: u.String(), Host: u.Host, Assisters: isDomain(u.Hostname(), "assisters.dev")}
	if opt.NoKey {
		return e, nil
	}
	if err := e.readHeaders(opt.Headers, opt.Getenv); err != nil {
		return Endpoint{}, err
	}
	if err := e.chooseKey(u.Hostname(), explicit, opt); err != nil {
		return Endpoint{}, err
	}
	return e, nil
}

func parseBaseURL(base string, allowHTTP bool) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(base))
	if err != nil {
		return nil, &EndpointError{"the base URL cannot be read", "write it as in " + DefaultBaseURL}
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.User != nil:
		return nil, &EndpointError{"the base URL holds a user or password", "name the variable that holds the key with --api-key-env"}
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, &EndpointError{"the base URL must begin with https:// (or http:// for this machine) and a host", "write it as in " + DefaultBaseURL}
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, &EndpointError{"the base URL holds a query or a fragment", "leave off what follows ? or #; further headers go by --header"}
	case u.Scheme == "http" && !allowHTTP && !IsLoopback(u.Hostname()):
		return nil, &EndpointError{"the base URL is plain http to another machine: everybody on the way could read the key and the prompts",
			"use https, or allow it with --allow-http"}
	}
	u.Host = strings.ToLower(u.Host)
	if port := u.Port(); port == "" || port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	// The whole address of an endpoint is a common paste.
	path := strings.TrimRight(strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), "/chat/completions"), "/")
	if u.Path, err = url.PathUnescape(path); err != nil {
		return nil, &EndpointError{"the base URL cannot be read", "write it as in " + DefaultBaseURL}
	}
	u.RawPath = path
	return u, nil
}

// chooseKey applies the rules that pair keys with hosts.
func (e *Endpoint) chooseKey(host string, explicit bool, opt EndpointOptions) error {
	other := providerOf(host)
	if name := opt.APIKeyEnv; name != "" {
		switch {
		case e.Assisters && providerVariable(name):
			return &EndpointError{name + " holds the key of another provider, and " + e.Host + " is an Assisters host",
				"give the --base-url of that provider, or leave --api-key-env off to use " + keyVariable}
		case other != nil && name == keyVariable:
			return &EndpointError{keyVariable + " would be sent to " + e.Host + ", which belongs to another provider",
				"name the variable that holds its key, as in --api-key-env " + other.variable}
		}
		return e.readKey(name, opt.Getenv(name))
	}
	switch key := opt.Getenv(keyVariable); {
	case e.authenticates():
		return nil
	case other != nil:
		return &EndpointError{e.Host + " belongs to another provider: it does not get " + keyVariable,
			"name the variable that holds its key, as in --api-key-env " + other.variable}
	case !explicit && !e.Assisters && !IsLoopback(host):
		return &EndpointError{e.Host + " was not named for this command: it does not get " + keyVariable,
			"give --base-url again, or name the variable that holds its key with --api-key-env"}
	case strings.TrimSpace(key) == "" && IsLoopback(host):
		return nil
	default:
		return e.readKey(keyVariable, key)
	}
}

func (e *Endpoint) readKey(name, value string) error {
	key := strings.TrimSpace(value)
	switch {
	case key == "":
		name = shownVariable(name)
		return &EndpointError{"no API key: " + name + " is not set", "export " + name + "=... (a key is never given on the command line)"}
	case strings.Trim(key, `"'`) != key:
		return &EndpointError{name + " has quotation marks around the key", "set it without them"}
	case strings.HasPrefix(strings.ToLower(key), "bearer "):
		return &EndpointError{name + " begins with the word Bearer", "set it to the key alone"}
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return &EndpointError{name + " holds a character that no API key has (a blank, a line break or one outside ASCII)",
				"set it to the key alone"}
		}
	}
	e.APIKey = key
	return nil
}

// shownVariable is the name of a variable, as long as it looks like one: the key itself is sometimes given in its place.
func shownVariable(name string) string {
	for i := range len(name) {
		if c := name[i]; !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_') {
			return "NAME"
		}
	}
	return name
}

// authenticates says that a header of the user's own carries the credentials.
func (e *Endpoint) authenticates() bool {
	for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key"} {
		if e.Header[name] != nil {
			return true
		}
	}
	return false
}

// IsLoopback says whether a host name or address is this machine by its very name.
func IsLoopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func isDomain(host, domain string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == domain || strings.HasSuffix(host, "."+domain)
}
