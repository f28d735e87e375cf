/// A port of the loopback address without a listener. It is bound, so no other test can listen on it.
import NIOCore
import SystemSupport
import TestSupport

final class ReservedPort: Sendable {
    let number: Int
    private let descriptor: Int32

    init() throws {
        let descriptor = try makeSocket(AF_INET)
        self.descriptor = descriptor
        // Zero selects any port.
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0 ? 0 : errno
            }
        }
        number = Int(UInt16(bigEndian: address.sin_port))
        guard code == 0 else { throw IOError(errnoCode: code, reason: "no port could be reserved") }
    }

    deinit {
        close(descriptor)
    }
}
