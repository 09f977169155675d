package archive

import (
	"bufio"
	"encoding/binary"
	"io"
)

// The fixed parts of a zip's directory. All numbers are little-endian.
const (
	zipEntrySignature   = 0x02014b50
	zipEndSignature     = 0x06054b50
	zip64EndSignature   = 0x06064b50
	zip64PlaceSignature = 0x07064b50
	zipEntrySize        = 46
	zipEndSize          = 22
	zip64EndSize        = 56
	zip64PlaceSize      = 20
	maxZipDirectory     = 64 << 20
)

// zipEnd is what the end of a zip says of its directory.
type zipEnd struct {
	records, size, offset uint64
	at                    int64 // where the end itself starts
}

// scanZipDirectory counts the members before archive/zip makes an object of each,
// since that package believes the directory. It demands more than archive/zip: the
// directory must lie directly before its end, the first member at the start of the
// file, and the count must be right. It returns where the directory starts.
func scanZipDirectory(r io.ReaderAt, size int64, limits Limits) (int64, error) {
	end, err := readZipEnd(r, size)
	switch {
	case err != nil:
		return 0, err
	case end.size > uint64(end.at) || end.offset != uint64(end.at)-end.size:
		return 0, malformed("", "is damaged: there is data before its first member, or its directory is misplaced")
	case end.records > uint64(limits.Entries) || end.size > maxZipDirectory:
		return 0, newNames(limits).tooMany()
	}
	directory := bufio.NewReader(io.NewSectionReader(r, int64(end.offset), int64(end.size)))
	var entry [zipEntrySize]byte
	for range end.records {
		if _, err := io.ReadFull(directory, entry[:]); err != nil {
			return 0, classify("", err)
		}
		if binary.LittleEndian.Uint32(entry[:]) != zipEntrySignature {
			return 0, malformed("", "is damaged: its directory is not readable")
		}
		rest := 0
		for _, at := range []int{28, 30, 32} { // name, extra, comment
			rest += int(binary.LittleEndian.Uint16(entry[at:]))
		}
		if _, err := directory.Discard(rest); err != nil {
			return 0, classify("", err)
		}
	}
	if _, err := directory.ReadByte(); err != io.EOF {
		return 0, malformed("", "is damaged: its directory has more members than it says")
	}
	return int64(end.offset), nil
}

// readZipEnd finds the end of the directory in the same way as archive/zip.
func readZipEnd(r io.ReaderAt, size int64) (zipEnd, error) {
	tail := make([]byte, min(size, zipEndSize+1<<16))
	start := size - int64(len(tail))
	if _, err := r.ReadAt(tail, start); err != nil && err != io.EOF {
		return zipEnd{}, classify("", err)
	}
	at := len(tail) - zipEndSize
	for at >= 0 && binary.LittleEndian.Uint32(tail[at:]) != zipEndSignature {
		at--
	}
	if at < 0 {
		return zipEnd{}, malformed("", "is truncated: it has no zip directory")
	}
	b := tail[at:]
	number16 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint16(b[at:])) }
	number32 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(b[at:])) }
	if int(number16(20)) != len(b)-zipEndSize {
		return zipEnd{}, malformed("", "is damaged: there is data after its end")
	}
	end := zipEnd{records: number16(10), size: number32(12), offset: number32(16), at: start + int64(at)}
	disks := number16(4) | number16(6)
	// The odd second condition is that of archive/zip.
	if end.records == 0xffff || end.size == 0xffff || end.offset == 0xffffffff {
		if err := end.read64(r); err != nil {
			return zipEnd{}, err
		}
	} else if disks != 0 {
		return zipEnd{}, refused("", "is split over several files")
	}
	return end, nil
}

// read64 replaces the numbers by those of the 64-bit end, if there is one.
func (e *zipEnd) read64(r io.ReaderAt) error {
	var place [zip64PlaceSize]byte
	if e.at < zip64PlaceSize {
		return nil
	}
	if _, err := r.ReadAt(place[:], e.at-zip64PlaceSize); err != nil {
		return classify("", err)
	}
	if binary.LittleEndian.Uint32(place[:]) != zip64PlaceSignature {
		return nil
	}
	at := binary.LittleEndian.Uint64(place[8:])
	if e.at < zip64PlaceSize+zip64EndSize || at > uint64(e.at-zip64PlaceSize-zip64EndSize) {
		return malformed("", "is damaged: its directory is misplaced")
	}
	var b [zip64EndSize]byte
	if _, err := r.ReadAt(b[:], int64(at)); err != nil {
		return classify("", err)
	}
	if binary.LittleEndian.Uint32(b[:]) != zip64EndSignature {
		return malformed("", "is damaged: its directory is not readable")
	}
	if binary.LittleEndian.Uint32(b[16:])|binary.LittleEndian.Uint32(b[20:]) != 0 {
		return refused("", "is split over several files")
	}
	e.at = int64(at)
	e.records = binary.LittleEndian.Uint64(b[32:])
	e.size = binary.LittleEndian.Uint64(b[40:])
	e.offset = binary.LittleEndian.Uint64(b[48:])
	return nil
}
