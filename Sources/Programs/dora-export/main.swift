import DoraExportCommand

ExportProgram.main()
