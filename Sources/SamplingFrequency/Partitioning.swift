extension Array {
    /// The index of the first element for which `isInSecondPart` is true, or the count if there is none. All such
    /// elements must come after all others. Takes logarithmic time.
    @inline(__always)
    func partitioningIndex(where isInSecondPart: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isInSecondPart(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
