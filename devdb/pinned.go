package devdb

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// pinned is the SHA-512 of each published archive, by platform and version, as npm writes it. What has another is not
// what was meant, whatever the registry says of it. A new version in published needs its own here.
var pinned = map[string]string{
	"darwin-arm64@15.18.0-beta.17": "1hTznqARpTs+IaX3YYltEIJVNwXCuUoHhif+Xiub09SgtzpVhX1LRaJCpzp8kVJV0zxsBBFfv8kkT9TqJdJ32Q==",
	"darwin-arm64@16.14.0-beta.17": "CB1DFZ08zfmNapx231rAJW74UZfs1jQmeGLwbQSaAIRVs2uqEdMhVNLwVlztFG3ZPSeuCsgTn/0yeYDmKF67og==",
	"darwin-arm64@17.10.0-beta.17": "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
	"darwin-arm64@18.4.0-beta.17":  "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
	"darwin-x64@15.18.0-beta.17":   "W4Vd2hDkezdUAniJesLY0MZIfVJtyN7DNg2Q6X0ciwuhGYw/dh8ZDdZLZxSFmVNvpz8Itfj2s2P4MTFPczMMnQ==",
	"darwin-x64@16.14.0-beta.17":   "zikibpPYGWokfT/OFWNHCwerA3ZGat0ZyCIXOIbIucLBMDHztQ2WZQ9R5zil6oOxzElrMz2Q4aEOssGNrMDdyg==",
	"darwin-x64@17.10.0-beta.17":   "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
	"darwin-x64@18.4.0-beta.17":    "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
	"linux-arm64@15.18.0-beta.17":  "ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg==",
	"linux-arm64@16.14.0-beta.17":  "LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ==",
	"linux-arm64@17.10.0-beta.17":  "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
	"linux-arm64@18.4.0-beta.17":   "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
	"linux-x64@13.23.0-beta.16":    "0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==",
	"linux-x64@14.23.0-beta.17":    "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
	"linux-x64@15.18.0-beta.17":    "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
	"linux-x64@16.14.0-beta.17":    "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
	"linux-x64@17.10.0-beta.17":    "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
	"linux-x64@18.4.0-beta.17":     "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
	"windows-x64@15.18.0-beta.17":  "QE/GDEXKhEgbOJ2EIn57qcHNso3TV3s5ixjxzx7lgz46yGKUzTgXEHrgTEw2ckkNpIJSu9kUVIKck1ijnMlurw==",
	"windows-x64@16.14.0-beta.17":  "Wn4nuAT1H7SIJuLWPs+C1aSdZKpbTloCr0Xaozdfg956lUVvv3iHv6K8Lsc+xmtt1qQpTno3PJLqAgzJ/lg60Q==",
	"windows-x64@17.10.0-beta.17":  "q6xIETTkv67i1QlTWz1LAKb3Z+vG2V3qrp+BjLEWhCQ9jE4hbbsQ/J/3wiOPFLJbuwak7CfHC9EUJG7txAbGKw==",
	"windows-x64@18.4.0-beta.17":   "AwRerliA4IGWyW5jWBvHt5vidVUSB0QQW9Tt2y7ScnmifnCb/awfxZr4BkBSTv+gNt8Djcddqs+xSF5Z6/CkTg==",
}

// checkArchive compares an archive with the sum that is pinned for it.
func checkArchive(archive, name string) error {
	want, known := pinned[name]
	if !known {
		return fmt.Errorf("no sum is pinned for %s", name)
	}
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	hash := sha512.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("the archive of %s has the SHA-512 %s and not the one that is pinned, %s: it was not unpacked; "+
			"look at the registry that npm uses", name, got, want)
	}
	return nil
}

// sumOf is the file beside an unpacked server that holds the sum of all that was unpacked.
func sumOf(tree string) string { return tree + ".sha256" }

// keepSum writes it.
func keepSum(tree, target string) error {
	sum, err := treeSum(tree)
	if err != nil {
		return err
	}
	return os.WriteFile(sumOf(target), []byte(sum), 0o644)
}

// checkCached compares what lies in the cache with what was unpacked there, before root runs it or has it run. errNoSum
// is for what was unpacked before sums were kept.
func checkCached(tree string) error {
	if os.Getuid() != 0 || !slices.Contains(slices.Collect(maps.Values(published)), filepath.Base(tree)) {
		return nil
	}
	return compareSum(tree)
}

func compareSum(tree string) error {
	kept, err := os.ReadFile(sumOf(tree))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s", errNoSum, tree)
	}
	if err != nil {
		return err
	}
	sum, err := treeSum(tree)
	if err == nil && sum != string(kept) {
		err = fmt.Errorf("%s was changed after it was fetched, and root does not run it; remove it, and find out by whom",
			tree)
	}
	return err
}

var errNoSum = errors.New("it is not known what was unpacked there")

// treeSum is one of all names, modes, contents and links.
func treeSum(tree string) (string, error) {
	all := sha256.New()
	err := filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(tree, path)
		if err != nil {
			return err
		}
		content := ""
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			content, err = os.Readlink(path)
		case info.Mode().IsRegular():
			content, err = fileSum(path)
		}
		_, _ = fmt.Fprintf(all, "%q %v %q\n", filepath.ToSlash(name), info.Mode(), content)
		return err
	})
	return hex.EncodeToString(all.Sum(nil)), err
}

func fileSum(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return hex.EncodeToString(hash.Sum(nil)), err
}
