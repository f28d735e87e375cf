/// How two vectors are compared. A score is larger-is-better in each.
package enum Metric: String, Sendable, CaseIterable {
    /// Σ x·y
    case dot
    /// Σ x·y / (‖x‖·‖y‖)
    case cosine
    /// −Σ (x − y)²
    case l2
}
