import DoraText

/// Weights that an old PEFT saved with `torch.save`.
enum PickledAdapter {
    static let name = "adapter_model.bin"

    /// Says how to make a safetensors file of them: two lines of Python, to be run where PyTorch is.
    static func refusal(in folder: Folder) -> LoadError {
        LoadError(
            .unsupported, file: folder.file(name), "pickled adapters are not read: opening them can run code",
            advice: """
                convert it with these two lines of Python, in its folder, or save it again with safe_serialization=True:
                  import torch; from safetensors.torch import save_file
                  save_file({k: v.clone(memory_format=torch.contiguous_format) for k, v in torch.load("\(name)", \
                map_location="cpu", weights_only=True).items()}, "adapter_model.safetensors")
                """)
    }
}
