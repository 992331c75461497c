package input

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxImage is the largest picture that is put into a request, maxImages the most that all of a row may be.
const (
	maxImage  = 20 << 20
	maxImages = 64 << 20
)

// images puts pictures beside the text of a prompt.
type images struct {
	column string // the field that names them
	dir    string // where relative paths begin: at the prompt file
	last   int    // pictures of the last row
}

// shown says that the last row has pictures.
func (im *images) shown() bool { return im != nil && im.last > 0 }

// content gives the content of a user message: the text alone, or as parts with the pictures that the row names.
func (im *images) content(text []byte, members []member) ([]byte, *LineError) {
	if im == nil {
		return text, nil
	}
	field := shownKey(im.column)
	m := find(members, im.column)
	if m == nil || m.value.Kind() == 'n' || string(m.value) == `""` {
		return nil, &LineError{Field: field, Problem: "names no image", Hint: "--image-column names the field with the path or URL of each row's image"}
	}
	var names []string
	switch v := toValue(m.value).(type) {
	case string:
		names = []string{v}
	case list:
		for _, e := range v {
			name, ok := e.(string)
			if !ok {
				return nil, &LineError{Field: field, Problem: "holds something else than paths and URLs"}
			}
			names = append(names, name)
		}
	default:
		return nil, &LineError{Field: field, Problem: kind(m.value) + " is no path or URL of an image"}
	}
	im.last = len(names)
	b := append([]byte(`[{"type":"text","text":`), text...)
	for _, name := range names {
		b = append(b, `},{"type":"image_url","image_url":{"url":`...)
		var err error
		if b, err = im.append(b, name); err != nil {
			return nil, &LineError{Field: field, Problem: err.Error(), Hint: imageHint(err)}
		}
		if b = append(b, '}'); len(b) > maxImages/3*4 { // base64
			return nil, &LineError{Field: field, Problem: "the images of the row are larger than " + size(maxImages)}
		}
	}
	return append(b, "}]"...), nil
}

// append writes the URL of an image: the one that is given, or one that holds a local file.
func (im *images) append(b []byte, name string) ([]byte, error) {
	if scheme, _, found := strings.Cut(name, ":"); found && len(scheme) > 1 {
		switch scheme = strings.ToLower(scheme); {
		case scheme == "http" || scheme == "https" || scheme == "data":
			if _, err := url.Parse(name); err != nil && scheme != "data" {
				return nil, errors.New("is no URL that can be read")
			}
			return jsontext.AppendQuote(b, name)
		case strings.HasPrefix(name[len(scheme):], "://"):
			return nil, errors.New("is no path, and no http, https or data URL")
		}
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(im.dir, path)
	}
	picture, err := readImage(path)
	if err != nil {
		return nil, err
	}
	media := mediaType(picture)
	if media == "" {
		return nil, errNoImage
	}
	b = slices.Grow(b, len("\"data:;base64,\"")+len(media)+base64.StdEncoding.EncodedLen(len(picture)))
	b = append(append(append(b, `"data:`...), media...), ";base64,"...)
	return append(base64.StdEncoding.AppendEncode(b, picture), '"'), nil
}

// mediaType tells by its first bytes what a picture is, of the kinds that APIs take; "" for anything else.
func mediaType(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(b, []byte("GIF87a")), bytes.HasPrefix(b, []byte("GIF89a")):
		return "image/gif"
	case len(b) >= 12 && bytes.HasPrefix(b, []byte("RIFF")) && string(b[8:12]) == "WEBP":
		return "image/webp"
	}
	return ""
}

var errNoImage = errors.New("is no PNG, JPEG, GIF or WebP")

func imageHint(err error) string {
	if errors.Is(err, os.ErrNotExist) {
		return "a path is looked up from the folder of the prompt file"
	}
	return ""
}

// readImage reads a file that is not too long; a device or a pipe might never end.
func readImage(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable(path), cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", printable(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable(path), cause(err))
	}
	defer f.Close()
	picture, err := io.ReadAll(io.LimitReader(f, maxImage+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable(path), cause(err))
	}
	if len(picture) > maxImage {
		return nil, fmt.Errorf("%s is larger than %s", printable(path), size(maxImage))
	}
	return picture, nil
}
