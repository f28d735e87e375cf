import Foundation

/// Reads lines from a file or a pipe, a chunk of them at a time, with their numbers.
///
/// A chunk is what one `read` returns, so that a slow pipe's lines are not held back until a buffer is full.
struct LineReader {
    static let lineByteCountMax = 16 << 20

    /// The file's size, if it is a file.
    let byteCountTotal: Int?
    private(set) var byteCountRead = 0
    private let handle: FileHandle
    private let chunkByteCount: Int
    /// The beginning of a line whose end is still to come.
    private var rest: [UInt8] = []
    private var lineNumber = 0

    init(_ handle: FileHandle, chunkByteCount: Int = 512 << 10) {
        self.handle = handle
        self.chunkByteCount = chunkByteCount
        var status = stat()
        let isFile = fstat(handle.fileDescriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        byteCountTotal = isFile ? Int(status.st_size) : nil
    }

    /// `-` is standard input.
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

    /// Reads a chunk and calls `body` with each complete line of it, without its line end. False at the end of the input.
    mutating func readChunk(_ body: (_ number: Int, _ line: UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
        var buffer = [UInt8](unsafeUninitializedCapacity: rest.count + chunkByteCount) { room, count in
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
            // What was left from the last chunk has no line end.
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

    /// Appends what one `read` returns; 0 at the end.
    private func read(into buffer: inout [UInt8]) throws -> Int {
        let known = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: chunkByteCount))
        let received = buffer.withUnsafeMutableBytes { bytes in
            var received: Int
            repeat {
                received = Foundation.read(handle.fileDescriptor, bytes.baseAddress! + known, chunkByteCount)
            } while received < 0 && errno == EINTR
            return received
        }
        guard received >= 0 else {
            throw Failure(.noInput, "could not read the input: \(String(cString: strerror(errno)).lowercased())")
        }
        buffer.removeLast(chunkByteCount - received)
        return received
    }
}
