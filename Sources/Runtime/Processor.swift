import DoraTensor

/// The CPU that this process runs on, as far as the kernels ask.
package enum Processor {
    /// Names of the kernel sets that it can run; the first is used.
    package static var kernels: [String] { Compute.availableKernels }

    /// The instruction sets that kernels ask for and it has, by the compiler's names.
    package static var features: [String] { Compute.processorFeatures }
}
