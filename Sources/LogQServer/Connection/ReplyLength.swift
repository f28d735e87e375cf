import ItemStore
import NIOCore
import WireProtocol

/// Refusing a reply that is too long before its rows are read or written. Writing the vectors of 10,000 items as text
/// takes a second.
extension ReplyWriter {
    /// Throws `LIMIT` if the reply to a query is certain to be too long: even the shortest vectors would not fit.
    func checkLeastLength(of query: QueuedQuery) throws(WireError) {
        let count = query.vectorCountMin
        let rowBytes = leastRowBytes(dimension: query.collection.configuration.dimension)
        guard count > replyBytesMax / rowBytes else { return }
        let got = "got \(count) rows with vectors, whose reply would have at least \(count * rowBytes) bytes"
        throw WireError(.limit, "\(got), expected at most \(replyBytesMax): at most \(replyBytesMax / rowBytes) fit")
    }

    /// Estimates the length of a reply from `sampledCount` of its rows. Throws `LIMIT` if that is over `percentMax`
    /// percent of the longest reply. Nearer to the limit only the reply itself shows whether it fits.
    func checkEstimatedLength(
        rowCount: Int,
        sampledCount: Int,
        percentMax: Int,
        of noun: String,
        _ writeRow: (Int, inout ByteBuffer) -> Void
    ) throws(WireError) {
        guard rowCount > 2 * sampledCount else { return }
        var sample = ByteBuffer()
        var count = 0
        for index in stride(from: 0, to: rowCount, by: rowCount / sampledCount) {
            guard sample.readableBytes <= replyBytesMax else { break }
            writeRow(index, &sample)
            count += 1
        }
        let byteCount = sample.readableBytes * rowCount / count
        guard byteCount / 100 > replyBytesMax / 100 * percentMax / 100 else { return }
        let fittingCount = replyBytesMax / (sample.readableBytes / count)
        let got = "got \(rowCount) \(noun), whose reply would have about \(byteCount) bytes"
        throw WireError(.limit, "\(got), expected at most \(replyBytesMax): about \(fittingCount) of them fit")
    }
}
