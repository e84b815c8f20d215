/* The models that can answer: those on this computer, and those of the servers that answer now. Choosing one makes it the
 * configured one, also in the middle of a conversation. */
#ifndef WE_DESKTOP_MODEL_LIST_H
#define WE_DESKTOP_MODEL_LIST_H

#include "application.h"

#define WE_TYPE_MODEL_LIST (we_model_list_get_type())
G_DECLARE_FINAL_TYPE(WeModelList, we_model_list, WE, MODEL_LIST, GtkWidget)

/* Signal "chosen": a model was. */
GtkWidget *we_model_list_new(WeApplication *application);
/* Looks again: on the disk, and at the servers. */
void we_model_list_refresh(WeModelList *list);

#endif
