import CKernels

/// Rows of activations that a step multiplies: floats, and their blocks of integers once a quantized matrix asks for
/// them.
///
/// Owned by one forward pass; not shared.
package final class Activations {
    /// Rows that one pass over a matrix takes at most.
    package static let mostAPass = Int(DK_GROUP)

    package let columns: Int
    package let capacity: Int
    package private(set) var tokens = 0
    private let memory: AlignedMemory
    private let codes: AlignedMemory
    private let offsets: AlignedMemory
    /// Sums of sixteen codes each, which only some formats ask for.
    private var quarters: AlignedMemory?
    private var hasQuarters = false
    /// The floats side by side, which only matrices of 16-bit floats ask for.
    private var panels: AlignedMemory?
    private var isInterleaved = false
    private let scales: AlignedMemory
    private let sums: AlignedMemory
    private let shifts: AlignedMemory
    private let terms: AlignedMemory
    private let paddedColumns: Int
    private let threshold: Float
    private var isQuantized = false
    /// Copies for matrices that hold their inputs in an order of their own; the first `arrangedCount` are of these rows.
    private var arranged: [(order: InputOrder, rows: Activations)] = []
    private var arrangedCount = 0
    /// What the first factors of low-rank parts make of the rows, for one call of `multiply`.
    var reduced: [Float] = [0]

    package init(
        capacity: Int, columns: Int, secondTerms: SecondTerms = .peaks
    ) throws(ComputeError) {
        self.capacity = capacity
        self.columns = columns
        threshold = secondTerms.threshold
        paddedColumns = columns.roundedUp(to: DK_BLOCK)
        let blocks = paddedColumns / DK_BLOCK
        let behind = Int(DK_BEHIND)
        let groups = capacity.roundedUp(to: DK_GROUP) / DK_GROUP
        memory = try AlignedMemory(byteCount: capacity * columns * 4)
        codes = try AlignedMemory(byteCount: 4 * capacity * paddedColumns + behind)
        offsets = try AlignedMemory(byteCount: 6 * capacity * blocks * 4 + behind)
        scales = try AlignedMemory(byteCount: capacity * blocks * 4 + behind)
        sums = try AlignedMemory(byteCount: capacity * blocks * 4 + behind)
        shifts = try AlignedMemory(byteCount: 2 * capacity * blocks * 4 + behind)
        terms = try AlignedMemory(byteCount: groups * blocks * MemoryLayout<dk_terms>.size)
    }

    /// `[tokens, columns]`.
    package var floats: UnsafeMutablePointer<Float> { memory.pointer.assumingMemoryBound(to: Float.self) }

    package func row(_ token: Int) -> UnsafeMutablePointer<Float> { floats + token * columns }

    /// Says that `tokens` rows have new floats.
    package func refill(tokens: Int) {
        precondition(tokens <= capacity)
        self.tokens = tokens
        isQuantized = false
        hasQuarters = false
        isInterleaved = false
        arrangedCount = 0
    }

    /// Says that the blocks of integers are to have sums of sixteen codes; they are made anew if they have none yet.
    func wantQuarters() throws(ComputeError) {
        guard !hasQuarters else { return }
        if quarters == nil {
            quarters = try AlignedMemory(
                byteCount: 8 * capacity * (paddedColumns / DK_BLOCK) * 4 + Int(DK_BEHIND))
        }
        hasQuarters = true
        isQuantized = false
    }

    /// Says that the floats are to lie side by side, too.
    func wantPanels() throws(ComputeError) {
        guard panels == nil, tokens > 1 else { return }
        panels = try AlignedMemory(byteCount: capacity * columns * 4 + Int(DK_BEHIND))
    }

    /// These rows with their inputs in an order: found, or made in the place of one of the last step's.
    func rows(in order: InputOrder?, on compute: Compute) throws(ComputeError) -> Activations {
        guard let order else { return self }
        if let known = arranged.prefix(arrangedCount).first(where: { $0.order == order }) {
            return known.rows
        }
        if arrangedCount == arranged.count {
            let rows = try Activations(
                capacity: capacity, columns: columns, secondTerms: SecondTerms(threshold: threshold))
            arranged.append((order, rows))
        }
        let copy = arranged[arrangedCount].rows
        arranged[arrangedCount].order = order
        arrangedCount += 1
        compute.parallel(tokens) { order.arrange(row($0), into: copy.row($0)) }
        copy.refill(tokens: tokens)
        return copy
    }

    var view: dk_activations {
        var view = dk_activations()
        view.tokens = Int64(tokens)
        view.columns = Int64(columns)
        view.padded_columns = Int64(paddedColumns)
        view.threshold = threshold
        view.floats = UnsafePointer(floats)
        // A token by itself lies side by side already.
        view.panels = tokens == 1 ? floats : panels?.pointer.assumingMemoryBound(to: Float.self)
        view.codes = codes.pointer
        view.offsets = offsets.pointer.assumingMemoryBound(to: Int32.self)
        view.quarters = hasQuarters ? quarters?.pointer.assumingMemoryBound(to: Int32.self) : nil
        view.scales = scales.pointer.assumingMemoryBound(to: Float.self)
        view.sums = sums.pointer.assumingMemoryBound(to: Float.self)
        view.shifts = shifts.pointer.assumingMemoryBound(to: Float.self)
        view.terms = terms.pointer.assumingMemoryBound(to: dk_terms.self)
        return view
    }

    /// Groups of tokens that are still to be put into blocks of integers; none once they have been.
    func takeUnquantized() -> Int {
        defer { isQuantized = true }
        return isQuantized ? 0 : Int(dk_group_count(Int64(tokens)))
    }

    /// Groups of tokens whose floats are still to be put side by side.
    func takeApart() -> Int {
        defer { isInterleaved = true }
        return isInterleaved || tokens == 1 ? 0 : tokens.roundedUp(to: DK_GROUP) / DK_GROUP
    }
}
