#if canImport(Glibc)
import Glibc
#endif

/// The service manager that started this process and waits to hear how it does: systemd, for a unit of `Type=notify`.
///
/// Source: sd_notify(3). A datagram goes to the socket that `NOTIFY_SOCKET` names, a path or, behind an `@`, an abstract
/// name.
struct ServiceManager: Sendable {
    private let socket: String

    /// Nil if no manager waits.
    init?(environment: [String: String]) {
        guard let socket = environment["NOTIFY_SOCKET"], socket.hasPrefix("/") || socket.hasPrefix("@"),
            socket.utf8.count > 1, socket.utf8.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        else { return nil }
        self.socket = socket
    }

    /// What it is told.
    enum State {
        /// What is being waited for, for `systemctl status`.
        case starting(String)
        case ready(String)
        case stopping

        var text: String {
            switch self {
            case .starting(let status): "STATUS=\(status)"
            case .ready(let status): "READY=1\nSTATUS=\(status)"
            case .stopping: "STOPPING=1\nSTATUS=finishing what runs"
            }
        }
    }

    /// Says so once. Nobody waits for an answer, and a manager that has gone is no reason to stop.
    func tell(_ state: State) {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(socket.utf8)
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout.offset(of: \sockaddr_un.sun_path).map { $0 + name.count } ?? 0)
        let message = Array(state.text.utf8)
        withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = sendto(descriptor, message, message.count, 0, address, length)
            }
        }
    }
}
