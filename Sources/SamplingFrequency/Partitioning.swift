extension Array {
    /// The first place whose element `isBehind`, in a list in which all such elements stand behind all others; the end if
    /// there is none. Takes logarithmic time.
    @inline(__always)
    func partitioningIndex(where isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
