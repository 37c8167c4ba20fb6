# SPDX-License-Identifier: MIT
# What `cmake --install` puts where: the command, both libraries, headers, wte.pc, the demo model, and
# man pages and completions, which the built command prints from its own tables.

install(TARGETS wte wte_shared
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${WTE_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/wte)
install(DIRECTORY models/demo DESTINATION ${CMAKE_INSTALL_DATADIR}/wte/models)
foreach(file README.md LICENSE CHANGELOG.md)
  install(FILES ${file} DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
endforeach()

# wte.pc finds its folders from where it lies, so that an installed tree can be moved.
file(RELATIVE_PATH WTE_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
file(RELATIVE_PATH WTE_PC_LIBDIR "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_LIBDIR}")
file(RELATIVE_PATH WTE_PC_INCLUDEDIR "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
string(REGEX REPLACE "/$" "" WTE_PC_PREFIX "${WTE_PC_PREFIX}")
configure_file(cmake/wte.pc.in ${CMAKE_CURRENT_BINARY_DIR}/wte.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/wte.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(NOT TARGET wte_command)
  return()
endif()
install(TARGETS wte_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# A command built for another machine cannot run here: no pages then.
if(CMAKE_CROSSCOMPILING)
  return()
endif()
set(WTE_MANUAL ${CMAKE_CURRENT_BINARY_DIR}/manual)
add_custom_command(OUTPUT ${WTE_MANUAL}/man/wte.1 ${WTE_MANUAL}/wte.bash ${WTE_MANUAL}/_wte
                          ${WTE_MANUAL}/wte.fish
  COMMAND ${CMAKE_COMMAND} -E make_directory ${WTE_MANUAL}/man
  COMMAND wte_command __man ${WTE_MANUAL}/man
  COMMAND wte_command __completion bash > ${WTE_MANUAL}/wte.bash
  COMMAND wte_command __completion zsh > ${WTE_MANUAL}/_wte
  COMMAND wte_command __completion fish > ${WTE_MANUAL}/wte.fish
  DEPENDS wte_command VERBATIM)
add_custom_target(wte_manual ALL DEPENDS ${WTE_MANUAL}/man/wte.1)
install(DIRECTORY ${WTE_MANUAL}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "*.1")
install(FILES ${WTE_MANUAL}/wte.bash RENAME wte
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${WTE_MANUAL}/_wte DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${WTE_MANUAL}/wte.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
