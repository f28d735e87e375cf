/// Which received bytes of a connection are served or discarded, and when its socket is read.
struct ConnectionInput {
    /// The number of bytes received so far, and the number of bytes in the lines taken from them.
    private(set) var receivedByteCount = 0
    private var takenByteCount = 0
    /// Once the server stops, only lines that end at or before this byte of the stream are served. Nil before that.
    private var servedByteCountMax: Int?

    /// Whether the client has shut down its sending side.
    var isClosed = false
    /// Whether the connection has used up its turn and waits for a later turn of the event loop. Until then it takes no
    /// requests.
    var isPutOff = false
    /// Whether the channel asked for a read while the connection wanted no bytes.
    private var isReadWithheld = false

    /// How many more bytes may be discarded before the connection is closed. Nil if bytes are not discarded.
    private var discardableByteCount: Int?

    var isDiscarding: Bool { discardableByteCount != nil }

    mutating func received(_ byteCount: Int) {
        receivedByteCount += byteCount
    }

    /// Counts a request. Returns whether it must be served.
    mutating func take(_ byteCount: Int) -> Bool {
        takenByteCount += byteCount
        guard let servedByteCountMax else { return true }
        return takenByteCount <= servedByteCountMax
    }

    // MARK: Stopping

    /// Serves only lines that have already arrived. `unreadByteCount` is the number of bytes that wait in the socket.
    mutating func beginDraining(unreadByteCount: Int) {
        servedByteCountMax = receivedByteCount + unreadByteCount
    }

    /// Whether the connection has read all bytes that had arrived when draining began.
    var hasReceivedServedBytes: Bool {
        servedByteCountMax.map { receivedByteCount >= $0 } ?? true
    }

    /// Discards all further bytes, up to 16 MiB.
    mutating func beginDiscarding() {
        discardableByteCount = 16 << 20
    }

    /// Discards bytes. Returns false if there were too many, and the connection should be closed.
    mutating func discard(_ byteCount: Int) -> Bool {
        guard let left = discardableByteCount else { return true }
        discardableByteCount = left - byteCount
        return left >= byteCount
    }

    // MARK: Reading

    /// The channel asks for a read. Returns `wantsBytes`. If it is false, `takeWithheldRead` later says when to read.
    mutating func mayRead(wantsBytes: Bool) -> Bool {
        if !wantsBytes { isReadWithheld = true }
        return wantsBytes
    }

    /// Returns true, once, if a read was withheld and the connection wants bytes again.
    mutating func takeWithheldRead(wantsBytes: Bool) -> Bool {
        guard isReadWithheld, wantsBytes else { return false }
        isReadWithheld = false
        return true
    }
}
