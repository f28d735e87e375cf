import Foundation

/// Reads numbered lines from a file or a pipe, one piece of the input at a time.
///
/// A piece has the bytes of one `read`, so lines from a slow pipe do not wait until a buffer is full.
struct LineReader {
    static let lineByteCountMax = 16 << 20

    /// The size of the file in bytes; nil if the input is not a regular file.
    let byteCountTotal: Int?
    private(set) var byteCountRead = 0
    private let handle: FileHandle
    private let pieceByteCount: Int
    /// The beginning of a line whose end has not been read yet.
    private var rest: [UInt8] = []
    private var lineNumber = 0

    init(_ handle: FileHandle, pieceByteCount: Int = 512 << 10) {
        self.handle = handle
        self.pieceByteCount = pieceByteCount
        var status = stat()
        let isFile = fstat(handle.fileDescriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        byteCountTotal = isFile ? Int(status.st_size) : nil
    }

    /// Opens `path`; `-` is standard input.
    init(path: String) throws {
        if path == "-" {
            self.init(.standardInput)
            return
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw Failure(.noInput, "could not read \(path): \(String(cString: strerror(errno)).lowercased())")
        }
        self.init(handle)
    }

    /// Waits until there is something to read, or the input has ended. Returns false after the time.
    func waitForInput(milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: handle.fileDescriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, milliseconds) != 0
    }

    /// Reads a piece, and calls `body` with each complete line in it, without the line end. Returns false at the end of
    /// the input.
    mutating func readPiece(_ body: (_ number: Int, _ line: UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
        var buffer = [UInt8](unsafeUninitializedCapacity: rest.count + pieceByteCount) { room, count in
            count = rest.withUnsafeBytes { known in
                UnsafeMutableRawBufferPointer(room).copyMemory(from: known)
                return known.count
            }
        }
        let known = buffer.count
        let received = try read(into: &buffer)
        byteCountRead += received
        try buffer.withUnsafeBytes { bytes in
            var start = 0
            // The rest of the previous piece has no line end.
            var scanned = known
            while let end = bytes[scanned...].firstIndex(of: 0x0A) {
                lineNumber += 1
                try body(lineNumber, UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                start = end + 1
                scanned = start
            }
            rest = Array(bytes[start...])
            if received == 0, !rest.isEmpty {
                lineNumber += 1
                try rest.withUnsafeBytes { try body(lineNumber, $0) }
                rest = []
            }
        }
        guard rest.count <= LineReader.lineByteCountMax else {
            throw Failure(
                .badData,
                "line \(lineNumber + 1): got over \(rest.count) bytes, expected at most \(LineReader.lineByteCountMax)"
            )
        }
        return received > 0
    }

    /// Appends the bytes of one `read`, and returns their number. 0 means the end of the input.
    private func read(into buffer: inout [UInt8]) throws -> Int {
        let known = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: pieceByteCount))
        let received = buffer.withUnsafeMutableBytes { bytes in
            var received: Int
            repeat {
                received = Foundation.read(handle.fileDescriptor, bytes.baseAddress! + known, pieceByteCount)
            } while received < 0 && errno == EINTR
            return received
        }
        guard received >= 0 else {
            throw Failure(.noInput, "could not read the input: \(String(cString: strerror(errno)).lowercased())")
        }
        buffer.removeLast(pieceByteCount - received)
        return received
    }
}
